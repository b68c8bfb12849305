"""The local system log (spec agent §6.4)."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Sequence

PATHS = ("/dev/log", "/var/run/syslog", "/var/run/log")
TAG = "serf"
WRITE_LIMIT = 0.02
"Seconds a write may take."
FACILITIES = {
    name: number
    for number, name in enumerate(
        ["KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV", "FTP"]
    )
} | {f"LOCAL{number}": 16 + number for number in range(8)}
_NOTICE = 5
_SEVERITIES = {"TRACE": 7, "DEBUG": 6, "INFO": 5, "WARN": 4, "ERR": 3, "CRIT": 2}
"⚠ One milder than their names say, as upstream has it."
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class SyslogError(Exception):
    """There is no system log to write to; the text is Go's."""


class Syslog:
    """Writes log entries as datagrams, or to a stream where there are none."""

    def __init__(self, facility: str, paths: Sequence[str] = PATHS) -> None:
        """Raises SyslogError."""
        if facility.upper() not in FACILITIES:
            raise SyslogError(f"invalid syslog facility: {facility}")
        self._facility = FACILITIES[facility.upper()]
        self._paths = paths
        self._socket = self._connect()
        if self._socket is None:
            raise SyslogError("Unix syslog delivery error")

    def write(self, line: str) -> None:
        """One entry of the log. Never raises; after an error it tries once more on a new connection."""
        data = self.datagram(line)
        for _ in range(2):
            if self._socket is None:
                self._socket = self._connect()
            if self._socket is None:
                return
            try:
                self._socket.sendall(data)
                return
            except OSError:
                self.close()

    def datagram(self, line: str) -> bytes:
        """`<PRI>Mmm _d HH:MM:SS serf[pid]: component: text`."""
        head, closing, text = line.partition("] ")
        word = head.partition("[")[2] if closing else ""
        priority = 8 * self._facility + _SEVERITIES.get(word, _NOTICE)
        now = time.localtime()
        stamp = f"{_MONTHS[now.tm_mon - 1]} {now.tm_mday:2d} {time.strftime('%H:%M:%S', now)}"
        text = text if closing else line
        return f"<{priority}>{stamp} {TAG}[{os.getpid()}]: {text}\n".encode("utf-8", "surrogateescape")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket | None:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            for path in self._paths:
                connection = socket.socket(socket.AF_UNIX, kind)
                connection.settimeout(WRITE_LIMIT)
                with contextlib.suppress(OSError):
                    connection.connect(path)
                    return connection
                connection.close()
        return None
