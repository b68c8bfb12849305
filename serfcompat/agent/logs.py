"""Where the agent's log goes: to stdout through a gate, to monitors, to syslog (spec agent §6).

Everything below logs through the standard `logging`; a message begins with its component,
as in `agent: Serf agent starting`. Here each record becomes one line of text, once, and
is handed on: monitors get all, the others what passes the level.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

TRACE = 5
"Below `logging.DEBUG`."
LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERR")
_LOWEST = dict(zip(LEVELS, (0, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR), strict=True))
HISTORY = 512
"Entries kept for monitors that come later."
ROOT = "serfcompat"
NEWLINE = "\n"

Sink = Callable[[str], None]
"""Takes one entry: without final newline, possibly with others inside. Must neither block nor log."""


def level_word(level: int) -> str:
    """What a line says in brackets."""
    if level >= logging.ERROR:
        return "ERR"
    if level >= logging.WARNING:
        return "WARN"
    if level >= logging.INFO:
        return "INFO"
    return "DEBUG" if level >= logging.DEBUG else "TRACE"


def invalid_level(word: str) -> str:
    """The complaint about a level that doesn't exist."""
    return f"Invalid log level: {word.upper()}. Valid log levels are: [{' '.join(LEVELS)}]"


def passes(line: str, level: str) -> bool:
    """Whether a line is at least of this level. One without a known level in brackets always passes."""
    _, bracket, rest = line.partition("[")
    word, closing, _ = rest.partition("]")
    if not bracket or not closing or word not in LEVELS:
        return True
    return LEVELS.index(word) >= LEVELS.index(level)


class LineRecord(logging.LogRecord):
    """A record that knows only what a line tells, for a process that writes nothing but such lines."""

    def __init__(
        self, name: str, level: int, path: str, line: int, message: object, args: Any, error: Any, *_: Any, **__: Any
    ) -> None:
        self.name, self.levelno, self.levelname = name, level, level_word(level)
        self.msg, self.args = message, args
        self.exc_info, self.exc_text, self.stack_info = error, None, None
        self.pathname, self.lineno = path, line
        self.created = time.time()


class LogPipeline(logging.Handler):
    """Turns records into lines and hands them on."""

    def __init__(self, out: Sink, level: str = "INFO") -> None:
        """`out` is held back until `open_gate`."""
        super().__init__()
        self.threshold = level
        self.history: deque[str] = deque(maxlen=HISTORY)
        self.syslog: Sink | None = None
        self._out = out
        self._held: list[str] | None = []
        self._monitors: list[Sink] = []
        self._second = 0
        self._stamp = ""

    @property
    def threshold(self) -> str:
        """One of LEVELS: what reaches stdout and syslog."""
        return self._threshold

    @threshold.setter
    def threshold(self, level: str) -> None:
        self._threshold = level
        self._lowest = _LOWEST[level]

    def open_gate(self) -> None:
        """Let out what was held back, oldest first, and hold nothing back from now on."""
        held, self._held = self._held, None
        for line in held or ():
            self._out(line)

    def add_monitor(self, monitor: Sink) -> None:
        """Give it the history, and then everything, of any level."""
        for line in self.history:
            monitor(line)
        self._monitors.append(monitor)

    def remove_monitor(self, monitor: Sink) -> None:
        if monitor in self._monitors:
            self._monitors.remove(monitor)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._line(record)
        except Exception:  # a broken log call must not break the caller
            self.handleError(record)
            return
        self.history.append(line)
        if self._monitors:
            for monitor in list(self._monitors):
                monitor(line)
        if record.levelno < self._lowest:
            return
        if self.syslog is not None:
            self.syslog(line)
        if self._held is None:
            self._out(line)
        else:
            self._held.append(line)

    def _line(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(second))
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + logging.Formatter().formatException(record.exc_info)
        return f"{self._stamp} [{level_word(record.levelno)}] {message.removesuffix(NEWLINE)}"


def install(pipeline: LogPipeline) -> None:
    """Let everything that serfcompat logs, of any level, go there and nowhere else."""
    logging.addLevelName(TRACE, "TRACE")
    root = logging.getLogger(ROOT)
    root.setLevel(TRACE)
    root.propagate = False
    root.addHandler(pipeline)


def uninstall(pipeline: LogPipeline) -> None:
    """The opposite of `install`."""
    root = logging.getLogger(ROOT)
    root.setLevel(logging.NOTSET)
    root.propagate = True
    root.removeHandler(pipeline)
