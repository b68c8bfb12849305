"""A tiny DNS server on loopback, for A, AAAA and SRV records that a test may change at any time."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import struct
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

_hosts = itertools.count(1)


class NameServer:
    """Answers from `records`: (name, type) → texts of records. Use it in a `with` block; it binds port 53."""

    def __init__(self) -> None:
        """Raises PermissionError."""
        self.records: dict[tuple[str, str], list[str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.host = f"127.35.{os.getpid() % 250}.{next(_hosts)}"
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = socket.socket()
        try:
            self._udp.bind((self.host, 53))
            self._tcp.bind((self.host, 53))
        except PermissionError:
            self._close()
            raise
        self._tcp.listen()
        self._threads = [threading.Thread(target=self._serve_udp), threading.Thread(target=self._serve_tcp)]

    def resolv_conf(self, folder) -> str:
        """The path of a file in the form of /etc/resolv.conf that names this server."""
        path = folder / "resolv.conf"
        path.write_text(f"nameserver {self.host}\n")
        return str(path)

    def __enter__(self) -> NameServer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._udp.sendto(b"", (self.host, 53))  # wakes the threads, which see that it is over
        with contextlib.suppress(OSError), socket.create_connection((self.host, 53)):
            pass
        for thread in self._threads:
            thread.join()
        self._close()

    def _close(self) -> None:
        self._udp.close()
        self._tcp.close()

    def _serve_udp(self) -> None:
        while True:
            data, source = self._udp.recvfrom(4096)
            if not data:
                return
            self._udp.sendto(self._answer(data), source)

    def _serve_tcp(self) -> None:
        while True:
            stream, _ = self._tcp.accept()
            with stream, stream.makefile("rb") as reader:
                head = reader.read(2)
                if not head:
                    return
                answer = self._answer(reader.read(struct.unpack(">H", head)[0]))
                stream.sendall(struct.pack(">H", len(answer)) + answer)

    def _answer(self, data: bytes) -> bytes:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True), question.rdtype.name
        self.asked.append((name, kind))
        response = dns.message.make_response(query)
        kinds = ["A", "AAAA", "SRV"] if kind == "ANY" else [kind]
        for each in kinds:
            if texts := self.records.get((name, each)):
                response.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", each, texts))
        if not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()
