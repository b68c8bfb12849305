"""Tell a service manager how we are (systemd's `sd_notify`): ready, reloading, stopping, and still alive.

Without one, that is without NOTIFY_SOCKET in the environment, nothing happens.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping
from typing import Self

import gevent


class ServiceManager:
    """Datagrams to the manager's socket. A lost one is no reason to stop."""

    def __init__(self, path: str = "", watchdog: float = 0.0) -> None:
        """`path`: of the socket, `@` for the abstract ones. `watchdog`: seconds within which a sign of life is due."""
        self._path = "\0" + path[1:] if path.startswith("@") else path
        self.watchdog = watchdog

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> Self:
        """What the manager told us. It is taken out of the environment: scripts must not speak for us."""
        path = environment.pop("NOTIFY_SOCKET", "")
        usec, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        ours = not pid or pid == str(os.getpid())
        return cls(path, int(usec) / 1e6 if usec.isascii() and usec.isdigit() and ours else 0.0)

    def ready(self) -> None:
        self._send("READY=1")

    def reloading(self) -> None:
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def live(self) -> None:
        """Give signs of life for ever, twice as often as needed. It stops when the hub does: that is the point."""
        while self._path and self.watchdog:
            self._send("WATCHDOG=1")
            gevent.sleep(self.watchdog / 2)

    def _send(self, message: str) -> None:
        if not self._path:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(message.encode(), self._path)
