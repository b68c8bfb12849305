"""What the nodes of a mixed cluster run on: containers, network namespaces, or plain loopback addresses."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import ClassVar

from serfcompat.errors import UsageError
from serfcompat.testing.node import Node
from serfcompat.testing.programs import NotHere, Program

VARIABLE = "SERFCOMPAT_BACKEND"
"Chooses a back end where a program doesn't: a name of `NAMES`, or `auto`."
NAMES = ("containers", "namespaces", "loopback")


class Backend(ABC):
    """Starts nodes that can reach each other, each at an address of its own. One for each cluster."""

    name: ClassVar[str]

    cannot_filter = ""
    "Why packets between nodes can't be dropped by the kernel; empty: they can."

    def __init__(self) -> None:
        self.news = threading.Condition()
        "Notified of every line that any node logs."

    @abstractmethod
    def free_host(self) -> str:
        """An address for a node, never given before."""

    @abstractmethod
    def launch(self, program: Program, name: str, host: str, flags: Sequence[str]) -> Node:
        """Start a node and don't wait for anything. NotHere: that program can't be run."""

    @abstractmethod
    def relay_address(self) -> str:
        """`ip:port`, never given before, where this process can listen and nodes can reach it. NotHere."""

    def set_faults(self, node: Node, *, blocked: Collection[str], loss: float) -> None:
        """Let a node hear nothing from these addresses, and lose this share of all other datagrams to it.

        Replaces what was set before.
        """
        raise NotHere(self.cannot_filter)

    @abstractmethod
    def start_capture(self) -> str:
        """Begin to keep packets; empty, or why that is not possible."""

    @abstractmethod
    def save_capture(self, path: Path) -> None:
        """Write the packets that were kept as a pcap file; nothing if none were."""

    @abstractmethod
    def close(self) -> None:
        """Remove everything that was made. May be called again."""


def backend(name: str = "auto") -> Backend:
    """A new back end: the named one, or the first that works here, containers before processes. NotHere."""
    if name == "auto":
        name = os.environ.get(VARIABLE, "auto")
    if name == "auto":
        name = available()[0]
    if name == "containers":
        from serfcompat.testing.containers import Containers

        return Containers()
    if name == "namespaces":
        from serfcompat.testing.namespaces import Namespaces

        return Namespaces()
    if name == "loopback":
        from serfcompat.testing.loopback import Loopback

        return Loopback()
    raise UsageError(f"no back end {name!r}: there are {', '.join(NAMES)}, and auto")


def available() -> list[str]:
    """Back ends that work here, the one that is most like a real network first."""
    return [name for name, why in reasons().items() if not why]


def reasons() -> dict[str, str]:
    """Why each back end can't be used here; empty if it can."""
    from serfcompat.testing import containers, namespaces

    return {"containers": containers.why_not(), "namespaces": namespaces.why_not(), "loopback": ""}
