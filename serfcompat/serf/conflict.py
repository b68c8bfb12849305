"""Two nodes with one name: who stays is put to the vote (spec serf §6.10)."""

from __future__ import annotations

from serfcompat.errors import SerfCompatError, WireError
from serfcompat.serf.core import Core
from serfcompat.serf.effects import Quit
from serfcompat.serf.queries import QueryParams, ask
from serfcompat.serf.text import shown, text
from serfcompat.swim.events import NodeView
from serfcompat.wire.address import Address
from serfcompat.wire.serf_messages import ConflictResponse
from serfcompat.wire.types import SerfMessageType

_V4_MAPPED = b"\0" * 10 + b"\xff\xff"


def on_conflict(core: Core, existing: NodeView, other: NodeView, now_ns: int) -> None:
    """Somebody claims a known name from another address. If it is ours, ask the others whom they know."""
    if existing.name != core.me:
        core.log.warning(
            "serf: Name conflict for '%s' both %s and %s are claiming",
            shown(existing.name), existing.address, other.address,
        )  # fmt: skip
        return
    enabled = core.config.enable_name_conflict_resolution
    core.log.error(
        "serf: Node name conflicts with another node at %s. Names must be unique! (Resolution enabled: %s)",
        other.address, "true" if enabled else "false",
    )  # fmt: skip
    if enabled:
        _vote(core, now_ns)


def _vote(core: Core, now_ns: int) -> None:
    """⚠ Each report starts another vote, as upstream; and with no voter at all we lose (S-145)."""
    try:
        query = ask(core, "_serf_conflict", core.me, QueryParams(), now_ns)
        us = core.swim.local_node().address
    except SerfCompatError as error:
        core.log.error("serf: Failed to start name resolution query: %s", error)
        return
    ballot = Ballot(core, us)
    query.on_response = ballot.on_response
    query.on_close = ballot.on_close


class Ballot:
    """The count of one vote."""

    def __init__(self, core: Core, us: Address) -> None:
        self._core = core
        self._us = us
        self._responses = 0
        self._matching = 0

    def on_response(self, from_: bytes, payload: bytes | None) -> None:
        """A voter tells whom it knows under our name. "Nobody" is a vote, too."""
        log = self._core.log
        if not payload or payload[0] != SerfMessageType.CONFLICT_RESPONSE:
            listed = " ".join(map(str, payload or b""))
            log.error("serf: Invalid conflict query response type: [%s]", listed)
            return
        try:
            member = ConflictResponse.decode(payload[1:]).member
        except WireError as error:
            log.error("serf: Failed to decode conflict query response: %s", error)
            return
        self._responses += 1
        if member is not None and same_address(Address(member.addr or b"", member.port), self._us):
            self._matching += 1

    def on_close(self, now_ns: int) -> None:
        """The verdict: stay with a majority, quit without."""
        core = self._core
        if self._matching >= self._responses // 2 + 1:
            core.log.info("serf: majority in name conflict resolution [%d / %d]", self._matching, self._responses)
            return
        core.log.warning(
            "serf: minority in name conflict resolution, quiting [%d / %d]", self._matching, self._responses
        )
        core.out.append(Quit(f"another node is called {text(core.me)!r}, and more members know that one"))


def same_address(a: Address, b: Address) -> bool:
    """Equality by value: an IPv4 address equals its IPv4-mapped form (Go `IP.Equal`)."""
    return a.port == b.port and a.ip.removeprefix(_V4_MAPPED) == b.ip.removeprefix(_V4_MAPPED)
