"""Records on their way to one RPC client, a bounded number of them (spec agent §4.6.12)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import gevent
from gevent.event import Event as Flag

LIMIT = 512
"Records that may wait. Then new ones are dropped; the connection and everybody else go on."
BATCH = 64
"Records sent in one write."


class RecordQueue:
    """Takes encoded records at once, and sends them as fast as the client reads."""

    def __init__(self, send: Callable[[bytes], None], on_failure: Callable[[OSError], None]) -> None:
        """`send` may block. `on_failure` hears why it failed; nothing more is sent then."""
        self._send = send
        self._on_failure = on_failure
        self._waiting: deque[bytes] = deque()
        self._news = Flag()
        self._stopped = False
        self._sender = gevent.spawn(self._run)

    def put(self, record: bytes) -> bool:
        """Queue a record, header included; False if there is no room for it."""
        if self._stopped:
            return True
        if len(self._waiting) >= LIMIT:
            return False
        self._waiting.append(record)
        self._news.set()
        return True

    def stop(self) -> None:
        """Send nothing more, except what is being sent: a record is never cut."""
        self._stopped = True
        self._waiting.clear()
        self._news.set()

    def _run(self) -> None:
        while not self._stopped:
            self._news.wait()
            self._news.clear()
            while self._waiting and not self._stopped:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                try:
                    self._send(b"".join(batch))
                except OSError as error:
                    if not self._stopped:
                        self._stopped = True
                        self._on_failure(error)
                    return
