"""Watches the tables of simulated nodes, and shows laws what has changed.

A `Watch` looks at a node's table after each of its steps. A law that is broken raises
`Broken`, and the simulation stops there.

Laws know nothing of the engine's code: the watch tells them the truth (who runs, who
answers, when the last fault ended), and they judge what nodes believe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from serfcompat.serf.text import shown, text
from serfcompat.sim.host import Host
from serfcompat.sim.observer import Observer
from serfcompat.sim.units import clock_text
from serfcompat.swim.events import NodeState
from serfcompat.wire.address import Address


class Broken(AssertionError):
    """A law does not hold."""

    def __init__(self, law: str, now_ns: int, what: str) -> None:
        super().__init__(f"{law}: {what} (at {clock_text(now_ns)})")
        self.law = law


class Seen(NamedTuple):
    """What a node believes of another."""

    state: NodeState
    incarnation: int
    address: Address

    def __str__(self) -> str:
        return f"{self.state.name.lower()}@{self.incarnation}"


class Change(NamedTuple):
    """One entry of one node's table before and after a step."""

    now_ns: int
    host: Host
    name: bytes
    before: Seen | None
    after: Seen | None
    cause: str
    detail: Any

    def broken(self, law: str, what: str) -> Broken:
        return Broken(
            law, self.now_ns,
            f"{self.host.name} takes {shown(self.name)} from {self.before or 'unknown'} to "
            f"{self.after or 'unknown'} on {self.cause}: {what}",
        )  # fmt: skip


class Law:
    """What a law may look at; each overrides what it needs."""

    watch: Watch

    def on_change(self, change: Change) -> None:
        """An entry has changed. Raises Broken."""

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        """A step was made; changes were shown before. Raises Broken."""

    def at_end(self, now_ns: int) -> None:
        """The cluster has been calm for long. Raises Broken."""


class Watch(Observer):
    """Shows the laws what changes, and keeps what is true."""

    def __init__(self, laws: Sequence[Law]) -> None:
        self.laws = laws
        self.last_fault_ns = 0
        "When something was last done to the cluster, or stopped being done."
        self.known_before = 0
        "How many nodes the one that makes a step knew before it."
        self._tables: dict[tuple[str, int], dict[bytes, Seen]] = {}
        for law in laws:
            law.watch = self

    def on_fault(self, now_ns: int, text: str) -> None:
        self.last_fault_ns = now_ns

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        key = (host.name, host.life)
        known = self._tables.get(key)
        if known is None:
            known = self._tables[key] = {}
        ring = host.swim.table.ring
        self.known_before = len(known)
        for node in ring:
            seen = known.get(node.name)
            if (
                seen is None
                or seen.incarnation != node.incarnation
                or seen.state is not node.state
                or seen.address[0] != node.addr
                or seen.address[1] != node.port
            ):
                after = Seen(node.state, node.incarnation, node.address)
                known[node.name] = after
                self._show(Change(now_ns, host, node.name, seen, after, cause, detail))
        if len(known) != len(ring):
            nodes = host.swim.table.nodes
            for name in [name for name in known if name not in nodes]:
                self._show(Change(now_ns, host, name, known.pop(name), None, cause, detail))
        for law in self.laws:
            law.on_step(now_ns, host, cause, detail, effects)

    def at_end(self) -> None:
        """To be called when the cluster had time enough to settle. Raises Broken."""
        for law in self.laws:
            law.at_end(self.driver.agenda.now_ns)

    def truth(self, name: bytes) -> Host | None:
        """The host of a node's name."""
        return self.driver.hosts.get(text(name))

    def _show(self, change: Change) -> None:
        for law in self.laws:
            law.on_change(change)
