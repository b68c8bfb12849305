"""Programs of other projects that gossip: started, listened to and stopped."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

T = TypeVar("T")
ASK_AGAIN = 0.1
"Seconds after which a question is asked again if nothing was logged meanwhile."


class Program:
    """A process whose log lines are read as they come. Use it in a `with` block, which ends it."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._reader = threading.Thread(target=self._read, name=f"log of {name}")
        self._reader.start()

    @property
    def log(self) -> list[str]:
        """All that it has printed so far, line by line."""
        with self._news:
            return list(self._lines)

    def wait_for(self, text: str, *, since: int = 0, limit: float = 30.0) -> str:
        """The first line after `since` lines that has this text. AssertionError if it never comes."""
        found = self.wait_until(
            lambda: next((line for line in self._lines[since:] if text in line), None),
            lambda line: line is not None,
            limit=limit,
            what=f"logging {text!r}",
        )
        assert found is not None
        return found

    def wait_until(self, ask: Callable[[], T], right: Callable[[T], bool], *, limit: float = 30.0, what: str = "") -> T:
        """Ask, now and after whatever it logs, until the answer is right. AssertionError says what it was last."""
        deadline = time.monotonic() + limit
        while True:
            answer = ask()
            if right(answer):
                return answer
            if self._ended or time.monotonic() > deadline:
                state = "ended" if self._ended else f"after {limit:g} s"
                raise AssertionError(f"{self.name} {state}: {what or answer}\n" + "\n".join(self.log[-40:]))
            with self._news:
                self._news.wait(ASK_AGAIN)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once, without a word to anybody."""
        self.process.kill()
        self.process.wait()

    def wait_exit(self, limit: float = 30.0) -> int:
        return self.process.wait(limit)

    def stop(self) -> None:
        """Make sure that it has ended. May be called again."""
        self.kill()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self._lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()
