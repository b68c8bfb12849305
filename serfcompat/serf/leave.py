"""Leaving on purpose, and declaring others gone (spec serf §4.10, §4.11).

A graceful leave takes several steps, each with a wait. The waits are timers and tokens,
so the node goes on living meanwhile:

    state leaving → leave intent gossiped → memberlist's own leave gossiped → a last delay → state left
"""

from __future__ import annotations

from collections.abc import Hashable

from serfcompat.errors import StateError
from serfcompat.serf.core import Core
from serfcompat.serf.dispatch import absorb
from serfcompat.serf.effects import TimedOut
from serfcompat.serf.intents import on_leave_intent
from serfcompat.serf.lamport import LTIME_MAX
from serfcompat.serf.member import MemberStatus
from serfcompat.serf.state import SerfState
from serfcompat.swim.effects import Finished, SetTimer
from serfcompat.wire.serf_messages import LeaveIntent

_PRUNE_MARGIN = 64
"""By how much a prune outbids the leave of a member that left.

Each push/pull dates that leave one later than it was told, so members differ in its date by as many exchanges
as some had more than others. A prune that is no later than what a member knows is ignored there, and the member
that was to be forgotten stays in its list until it is reaped: with upstream's date, one exchange is enough.
"""


def begin_leave(core: Core, token: Hashable, now_ns: int) -> None:
    """Start to leave; `Finished(token)` when it is done, at once if it was done before.

    Raises:
        StateError: A leave is under way, or the node was shut down.
    """
    match core.state:
        case SerfState.LEFT:
            core.out.append(Finished(token))
            return
        case SerfState.LEAVING:
            raise StateError("Leave already in progress")
        case SerfState.SHUTDOWN:
            raise StateError("Leave called after Shutdown")
    core.state = SerfState.LEAVING
    if core.snapshot is not None:
        core.out += core.snapshot.leave(now_ns)
    intent = LeaveIntent(core.clock.time, core.me)
    core.clock.increment()
    on_leave_intent(core, intent, now_ns, lambda _news, _now_ns: None)
    if not core.members.any_other_alive(core.me):
        _leave_memberlist(core, token, now_ns)
        return

    def then(done: bool, now_ns: int) -> None:
        if not done:
            core.log.warning("serf: timeout while waiting for graceful leave")
        _leave_memberlist(core, token, now_ns)

    waiting = core.wait(core.timing.broadcast_timeout_ns, then, now_ns)
    core.queues.intents.put(intent.encode(), unique=True, token=waiting)


def _leave_memberlist(core: Core, token: Hashable, now_ns: int) -> None:
    """Say goodbye at the level below. It reports our own leave: member-leave for ourselves (S-090)."""

    def then(done: bool, now_ns: int) -> None:
        if not done:
            core.log.warning("serf: timeout waiting for leave broadcast: timeout waiting for leave broadcast")
        core.out.append(SetTimer(("serf-left", token), now_ns + core.timing.leave_propagate_delay_ns))

    if core.state is SerfState.SHUTDOWN:
        core.out.append(Finished(token))
        return
    waiting = core.wait(memberlist_timeout_ns(core), then, now_ns)
    try:
        absorb(core, core.swim.leave(now_ns, waiting), now_ns)
    except StateError as error:  # we are not in our own table
        core.log.warning("serf: timeout waiting for leave broadcast: %s", error)
        core.finish_wait(waiting, now_ns)


def on_left_timer(core: Core, token: Hashable) -> None:
    """The last delay is over."""
    if core.state is not SerfState.SHUTDOWN:
        core.state = SerfState.LEFT
    core.out.append(Finished(token))


def memberlist_timeout_ns(core: Core) -> int | None:
    """⚠ For memberlist a broadcast timeout of 0 or less means no limit; Serf's own waits end at once then (§12.2)."""
    return core.timing.broadcast_timeout_ns if core.timing.broadcast_timeout_ns > 0 else None


def force_leave(core: Core, name: bytes, prune: bool, token: Hashable, now_ns: int) -> None:
    """Declare a member gone, whether it is known or not (upstream `RemoveFailedNode`, `RemoveFailedNodePrune`).

    `Finished(token)` once that was gossiped, at once if nobody listens; else `TimedOut(token)`.
    ⚠ An alive member refutes it. With `prune`, a leaving member is waited for first.
    """
    entry = core.members.get(name)
    if prune and entry is not None and entry.status is MemberStatus.LEFT:
        core.clock.witness(min(core.clock.time + _PRUNE_MARGIN - 1, LTIME_MAX - 1))
    intent = LeaveIntent(core.clock.time, name, prune)
    core.clock.increment()

    def broadcast(_news: bool, now_ns: int) -> None:
        if not core.members.any_other_alive(core.me):
            core.out.append(Finished(token))
            return
        waiting = core.wait(core.timing.broadcast_timeout_ns, then, now_ns)
        core.queues.intents.put(intent.encode(), unique=True, token=waiting)

    def then(done: bool, now_ns: int) -> None:
        core.out.append(Finished(token) if done else TimedOut(token, "timed out broadcasting node removal"))

    on_leave_intent(core, intent, now_ns, broadcast)
