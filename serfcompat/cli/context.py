"""What a command gets: its flags, where to print, and a way to the agent."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serfcompat.rpc.client import Client


class Failed(Exception):
    """The command can't go on, and has said why. The exit status is 1."""


class Context:
    """Everything that a command prints goes to stdout, errors as well (spec agent §1.1.5)."""

    def __init__(self, flags: Mapping[str, Any], help_text: str) -> None:
        self.flags = flags
        self.help_text = help_text
        "Without a final newline."

    def print(self, text: str = "") -> None:
        """One line, at once. Bytes that aren't UTF-8 go out as they came in."""
        write(1, text + "\n")

    def fail(self, text: str) -> int:
        """Print, and give the exit status of a failure."""
        self.print(text)
        return 1

    def usage(self, complaint: str) -> int:
        """Print what is wrong with the arguments, and how they should be."""
        return self.fail(f"{complaint}\n\n{self.help_text}")

    def connect(self) -> Client:
        """A client as the flags want it. Raises Failed."""
        from serfcompat.errors import RPCError
        from serfcompat.rpc.client import Client

        try:
            return Client(self.flags["rpc-addr"], self.flags["rpc-auth"])
        except RPCError as error:
            self.print(f"Error connecting to Serf agent: {error}")
            raise Failed from None


def write(descriptor: int, text: str) -> None:
    """Write to stdout or stderr. If nobody reads there any more, die of it as other programs do."""
    data = memoryview(text.encode("utf-8", "surrogateescape"))
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except BrokenPipeError:
        die_by("SIGPIPE")


def die_by(name: str) -> None:
    """End this process by a signal, as if it had never been caught."""
    import signal

    number = getattr(signal, name)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    sys.exit(1)  # not reached, unless the signal is blocked


def help_of(command: ModuleType) -> str:
    """A command's help text, without a final newline."""
    text: str = command.HELP.strip()
    if command.FLAGS is not None:
        text += "\n\nOptions:\n\n" + command.FLAGS.help()
    return text
