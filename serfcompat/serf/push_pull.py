"""Serf's part of memberlist's full state exchange (spec serf §2.7, §2.8)."""

from __future__ import annotations

from serfcompat.errors import WireError
from serfcompat.serf.core import Core
from serfcompat.serf.intents import on_join_intent, on_leave_intent, refute
from serfcompat.serf.lamport import LTIME_MAX
from serfcompat.serf.state import SerfState
from serfcompat.serf.user_events import buffered, on_user_event
from serfcompat.wire.serf_messages import JoinIntent, LeaveIntent, SerfPushPull, UserEventMessage
from serfcompat.wire.types import SerfMessageType


def local_state(core: Core) -> bytes:
    """What this node knows: clocks, every member's status time, who left, and recent user events."""
    return SerfPushPull(
        core.clock.time,
        {entry.name: entry.status_ltime for entry in core.members.by_name.values()},
        [entry.name for entry in core.members.left],
        core.event_clock.time,
        buffered(core),
        core.query_clock.time,
    ).encode()


def merge_remote_state(core: Core, state: bytes, join: bool, now_ns: int) -> None:
    """Take over what another node knows. Nothing learned here is passed on by gossip (S-075)."""
    if not state:
        core.log.error("serf: Remote state is zero bytes")
        return
    if state[0] != SerfMessageType.PUSH_PULL:
        core.log.error("serf: Remote state has bad type prefix: %d", state[0])
        return
    try:
        remote = SerfPushPull.decode(state[1:])
    except WireError as error:
        core.log.error("serf: Failed to decode remote state: %s", error)
        return
    for clock, time in (
        (core.clock, remote.ltime),
        (core.event_clock, remote.event_ltime),
        (core.query_clock, remote.query_ltime),
    ):
        if time > 0:
            clock.witness(time - 1)  # a clock's present value has not been used yet
    status_ltimes = remote.status_ltimes or {}
    left = remote.left_members or []
    _refute_hearsay(core, status_ltimes.get(core.me, 0), join, now_ns)
    for name in left:
        # ⚠ One later than the status, or a member that left would be ignored as known (since 0.8.2).
        ltime = min(status_ltimes.get(name, 0) + 1, LTIME_MAX)
        on_leave_intent(core, LeaveIntent(ltime, name), now_ns, _ignore)
    gone = frozenset(left)
    for name, ltime in status_ltimes.items():
        if name not in gone:
            on_join_intent(core, JoinIntent(ltime, name), now_ns, _ignore)
    if join and core.ignore_old_joins:
        core.event_min_time = max(core.event_min_time, remote.event_ltime)
    for slot in remote.events or ():
        if slot is not None:
            for event in slot.events or ():
                on_user_event(core, UserEventMessage(slot.ltime, event.name, event.payload, False), now_ns)


def _refute_hearsay(core: Core, told: int, join: bool, now_ns: int) -> None:
    """Speak up if somebody has heard of an intent of ours that we never sent.

    What a push/pull tells of a member that left is dated one later than its leave. Where
    it meets the news of the member's return, it may win, and then the returned member is
    taken for leaving, for ever upstream: only we could object, and gossip never tells us.
    """
    mine = core.members.get(core.me)
    if mine is None or told <= mine.status_ltime or core.state is not SerfState.ALIVE:
        return
    if mine.status_ltime or not join:  # else we are about to tell all the same
        refute(core, told, now_ns)


def _ignore(_news: bool, _now_ns: int) -> None:
    """Whether it was news doesn't matter here."""
