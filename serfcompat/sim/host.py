"""One host of a simulated cluster: an address, a clock, a disk, and the node that runs there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from serfcompat.serf.config import Config
from serfcompat.serf.engine import SerfEngine
from serfcompat.serf.snapshot import Snapshot
from serfcompat.serf.state import SerfState
from serfcompat.serf.text import raw, text
from serfcompat.sim.clock import HostClock
from serfcompat.swim.config import MemberlistConfig
from serfcompat.swim.dice import Dice
from serfcompat.swim.effects import TimerKey
from serfcompat.swim.engine import Swim
from serfcompat.wire.address import Address

Engine = Swim | SerfEngine
Template = Config | MemberlistConfig
"What the nodes have in common; its type chooses the level. Names and addresses are filled in."

SILENT = logging.Logger("serfcompat.sim", logging.CRITICAL + 1)
"Where simulated nodes log, unless the template names another logger."

RECEIVE_BUFFER = 2 << 20
"Bytes of datagrams that the system keeps for a paused process."


class Disk:
    """The files of a host, which survive the process. What was only buffered does not."""

    __slots__ = ("buffered", "keyring", "snapshot")

    def __init__(self) -> None:
        self.snapshot = b""
        self.buffered = b""
        self.keyring = b""

    def append(self, data: bytes, *, flush: bool) -> None:
        self.buffered += data
        if flush:
            self.flush()

    def flush(self) -> None:
        self.snapshot += self.buffered
        self.buffered = b""

    def replace(self, data: bytes) -> None:
        self.snapshot, self.buffered = data, b""


class Traffic:
    """What a host has sent and received since it was last asked."""

    __slots__ = ("packet_bytes", "packets", "received", "stream_bytes", "streams")

    def __init__(self) -> None:
        self.packets = 0
        self.packet_bytes = 0
        self.received = 0
        "Datagrams."
        self.streams = 0
        "Opened from here."
        self.stream_bytes = 0
        "Sent from here, on whoever's streams."


class Host:
    """A host is `running` a node or not; each start of one is a new life."""

    __slots__ = (
        "address",
        "clock",
        "dice",
        "disk",
        "engine",
        "held",
        "held_bytes",
        "lag_ns",
        "life",
        "name",
        "nonce",
        "raw",
        "running",
        "stalled",
        "timers",
        "traffic",
        "wire_dice",
    )

    engine: Engine

    def __init__(self, name: str, address: Address, clock: HostClock, wire_dice: Dice) -> None:
        self.name = name
        self.raw = raw(name)
        "The name as nodes know it."
        self.address = address
        self.clock = clock
        self.wire_dice = wire_dice
        "What befalls the datagrams sent from here."
        self.disk = Disk()
        self.traffic = Traffic()
        self.running = False
        self.life = 0
        "Counts the starts."
        self.lag_ns = 0
        "How late a slow host handles whatever comes."
        self.held: list[tuple[Callable[..., None], tuple[Any, ...]]] | None = None
        "While paused: what has come meanwhile, in order."
        self.held_bytes = 0
        self.stalled: list[Callable[[], None]] | None = None
        "While its input and output stall: what is to be done when they go on, in order."
        self.nonce: Callable[[], bytes] = lambda: bytes(12)
        "What the present life draws nonces with: never the same twice, which is all that matters here."
        self.timers: dict[TimerKey, tuple[int, int]] = {}
        "Key → (number that tells this setting from earlier ones, due on the host's clock)."

    def __repr__(self) -> str:
        return f"<{self.name} at {self.address}{'' if self.running else ', down'}>"

    @property
    def swim(self) -> Swim:
        """The memberlist level of the node."""
        return self.engine.swim if isinstance(self.engine, SerfEngine) else self.engine

    @property
    def answers(self) -> bool:
        """Whether the node is there, and neither paused nor stalled."""
        return self.running and self.held is None and self.stalled is None

    @property
    def leaving(self) -> bool:
        """Whether the node is on its way out, or has left."""
        if isinstance(self.engine, SerfEngine):
            return self.engine.state is not SerfState.ALIVE
        return self.engine.table.leaving

    def view(self) -> dict[str, str]:
        """What the node thinks of each member it knows: `alive`, `suspect`, `dead` or `left`.

        At the Serf level: `alive`, `leaving`, `left` or `failed`.
        """
        if isinstance(self.engine, SerfEngine):
            return {text(e.name): str(e.status) for e in self.engine.core.members.by_name.values()}
        return {text(node.name): node.state.name.lower() for node in self.engine.table.ring}

    def sees(self, name: str) -> str:
        """What the node thinks of one member, in the words of `view`; `unknown` if it doesn't know it."""
        if isinstance(self.engine, SerfEngine):
            entry = self.engine.core.members.get(raw(name))
            return "unknown" if entry is None else str(entry.status)
        node = self.engine.table.nodes.get(raw(name))
        return "unknown" if node is None else node.state.name.lower()

    def new_life(self, template: Template, dice: Dice, *, keep_snapshot: bool) -> None:
        """Make the node anew from its configuration and the disk; it does nothing before its `start`.

        Args:
            keep_snapshot: Whether it writes a snapshot, and begins with the one on disk. Serf level only.
        """
        self.life += 1
        self.timers = {}
        self.held = None
        self.stalled = None
        self.dice = dice
        self.running = True
        life, count = self.life, 0

        def nonce() -> bytes:
            nonlocal count
            count += 1
            return life.to_bytes(4, "big") + count.to_bytes(8, "big")

        self.nonce = nonce
        if isinstance(template, MemberlistConfig):
            self.engine = Swim(
                template.replace(name=self.name, logger=template.logger or SILENT),
                advertise=self.address,
                dice=dice,
                nonce=nonce,
            )
            return
        logger = template.logger or SILENT
        restored = None
        if keep_snapshot:
            self.disk.buffered = b""
            restored = Snapshot.replay(self.disk.snapshot, rejoin_after_leave=template.rejoin_after_leave, log=logger)
        self.engine = SerfEngine(
            template.replace(
                node_name=self.name,
                logger=logger,
                memberlist=template.memberlist.replace(logger=template.memberlist.logger or SILENT),
            ),
            advertise=self.address,
            dice=dice,
            nonce=nonce,
            restored=restored,
        )
