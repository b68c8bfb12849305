"""An agent that answers as a test says, for what no real agent would do on request."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from serfcompat.rpc import codec
from serfcompat.rpc.protocol import REQUESTS, ReplyHeader, Request, RequestHeader

Answer = Callable[[int, Request], bytes]
"""From sequence number and request to whatever bytes go back."""


def ok(seq: int, *bodies: Any) -> bytes:
    """A success, with a body if one is given."""
    return ReplyHeader(seq).encode() + b"".join(map(codec.pack, bodies))


class ScriptedAgent:
    """Serves clients until the `with` block ends; keeps all requests."""

    def __init__(self, **answers: Answer) -> None:
        """`answers`: by command, with `_` for `-`. Others are answered with success and no body."""
        self._answers = answers
        self.requests: list[Request] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        host, port = self._listener.getsockname()
        self.rpc = f"{host}:{port}"
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> ScriptedAgent:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def of(self, kind: type[Request]) -> list[Request]:
        """The requests of one kind."""
        return [request for request in self.requests if type(request) is kind]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        objects = codec.Objects()
        header: RequestHeader | None = None
        while data := client.recv(65536):
            objects.feed(data)
            while (item := objects.next()) is not None:
                if header is None:
                    header = RequestHeader.decode(codec.unpack(item), RequestHeader())
                    if REQUESTS[header.command].LAYOUT.declared:
                        continue
                    item = b"\xc0"
                request = REQUESTS[header.command].decode(codec.unpack(item))
                self.requests.append(request)
                answer = self._answers.get(header.command.replace("-", "_"), lambda seq, request: ok(seq))
                client.sendall(answer(header.seq, request))
                header = None
