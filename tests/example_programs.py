"""The programs of `examples/` as processes, and nodes of the test for them to meet."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from serfcompat import Config, Serf

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PATIENCE = 60.0
"Seconds after which a line that was waited for will not come any more."

_hosts = itertools.count(1)


def free_address() -> str:
    """A loopback address that no other test of this process uses."""
    return f"127.33.{os.getpid() % 250}.{next(_hosts)}"


class Program:
    """A running example, whose lines are read as they come."""

    def __init__(self, example: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, EXAMPLES / example, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._new: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._new.put(line.rstrip("\n"))
        self._new.put(None)

    def line(self, patience: float = PATIENCE) -> str:
        """The next line; AssertionError if there is none."""
        line = self._new.get(timeout=patience)
        assert line is not None, f"ended after {self.lines}"
        self.lines.append(line)
        return line

    def until(self, wanted: str, patience: float = PATIENCE) -> None:
        """Read up to a line that says just this."""
        while self.line(patience) != wanted:
            pass

    def say(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ends(self) -> None:
        """Close its input, and see it end well."""
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0, self.lines

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdin.close()
        self.process.stdout.close()


@contextlib.contextmanager
def starter() -> Iterator[Callable[..., Program]]:
    """Starts examples, and stops them in the end."""
    with contextlib.ExitStack() as stack:

        def start(example: str, *arguments: str) -> Program:
            program = Program(example, *arguments)
            stack.callback(program.stop)
            return program

        yield start


def node(name: str, **config: object) -> Serf:
    # With the profile's 2, gossip now and then misses one of four.
    settings = {"leave_propagate_delay": 0.1, "retransmit_mult": 8} | config
    return Serf(Config.local(node_name=name, bind_addr=free_address(), **settings))


def where(serf: Serf) -> str:
    return serf.local_member().address
