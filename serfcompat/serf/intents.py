"""Join and leave intents: gossip that tells why a member comes or goes (spec serf §4.4 to §4.6).

memberlist alone knows whether a member is reachable. Intents carry the reason, ordered by
a Lamport time per member: an intent counts only if it is newer than the last one.

    memberlist join              →  alive
    alive    + leave intent      →  leaving   + memberlist leave  →  left
    leaving  + join intent       →  alive
    failed   + leave intent      →  left      (force-leave, or an intent that came late)

A join intent never brings a failed or left member back; only memberlist can.
"""

from __future__ import annotations

from collections.abc import Callable

from serfcompat.serf.core import Core
from serfcompat.serf.deferred import Deferred
from serfcompat.serf.deliver import deliver_member
from serfcompat.serf.events import EventType
from serfcompat.serf.lamport import LTIME_MAX
from serfcompat.serf.member import MemberStatus
from serfcompat.serf.members import Entry, swap_out
from serfcompat.serf.membership import erase
from serfcompat.serf.recent_intents import IntentType
from serfcompat.serf.state import SerfState
from serfcompat.serf.text import shown
from serfcompat.swim.effects import SetTimer
from serfcompat.wire.address import ip_text
from serfcompat.wire.serf_messages import JoinIntent, LeaveIntent

_MARGIN = 4
"""By how much we outbid an intent about us that isn't true.

Who takes us for left dates that one later in each push/pull, and who hears it then may pass that on. If
our denial had the same date, as upstream's, those would take us for leaving for ever: they
would not believe it, and we would never hear of it again.
"""

Verdict = Callable[[bool, int], None]
"(whether the intent is news that is worth passing on, now). Called once; after a prune, only when that is done."


def on_join_intent(core: Core, intent: JoinIntent, now_ns: int, verdict: Verdict) -> None:
    """Apply one join intent (upstream `handleNodeJoinIntent`, rules J1-J3)."""
    core.clock.witness(intent.ltime)
    if deferred := core.pruning.get(intent.node):
        if not deferred.add(lambda now_ns: verdict(_apply_join(core, intent, now_ns), now_ns)):
            verdict(False, now_ns)
    else:
        verdict(_apply_join(core, intent, now_ns), now_ns)


def _apply_join(core: Core, intent: JoinIntent, now_ns: int) -> bool:
    if intent.ltime >= LTIME_MAX:
        return False
    entry = core.members.get(intent.node)
    if entry is None:  # J1
        return core.intents.upsert(intent.node, IntentType.JOIN, intent.ltime, now_ns)
    if intent.ltime <= entry.status_ltime:  # J2
        return False
    entry = core.members.own(entry)
    entry.status_ltime = intent.ltime  # J3
    if entry.status is MemberStatus.LEAVING:
        core.members.become(entry, MemberStatus.ALIVE)
    return True


def on_leave_intent(core: Core, intent: LeaveIntent, now_ns: int, verdict: Verdict) -> None:
    """Apply one leave intent (upstream `handleNodeLeaveIntent`, rules L1-L7)."""
    core.clock.witness(intent.ltime)
    if deferred := core.pruning.get(intent.node):
        if not deferred.add(lambda now_ns: _apply_leave(core, intent, now_ns, verdict)):
            verdict(False, now_ns)
    else:
        _apply_leave(core, intent, now_ns, verdict)


def _apply_leave(core: Core, intent: LeaveIntent, now_ns: int, verdict: Verdict) -> None:
    if intent.ltime >= LTIME_MAX:
        verdict(False, now_ns)
        return
    members = core.members
    entry = members.get(intent.node)
    if entry is None:  # L1
        core.former.found(intent.node)  # it left: nobody shall ask it back
        verdict(core.intents.upsert(intent.node, IntentType.LEAVE, intent.ltime, now_ns), now_ns)
        return
    if intent.ltime <= entry.status_ltime:  # L2
        verdict(False, now_ns)
        return
    if intent.node == core.me and core.state is SerfState.ALIVE:  # L3
        core.log.debug("serf: Refuting an older leave intent")
        refute(core, intent.ltime, now_ns)
        verdict(False, now_ns)
        return
    entry = members.own(entry)
    # ⚠ Whatever the status: otherwise two different leaves for one member are passed on for ever.
    entry.status_ltime = intent.ltime
    match entry.status:
        case MemberStatus.ALIVE:  # L4
            members.become(entry, MemberStatus.LEAVING)
        case MemberStatus.FAILED:  # L5. ⚠ leave_ns keeps the time of the failure: the tombstone may go early.
            members.become(entry, MemberStatus.LEFT)
            swap_out(members.failed, entry.name)
            members.left.append(entry)
            core.log.info("serf: EventMemberLeave (forced): %s %s", shown(entry.name), ip_text(entry.addr))
            deliver_member(core, EventType.MEMBER_LEAVE, entry, now_ns)
        case MemberStatus.NONE:  # L7
            verdict(False, now_ns)
            return
        case _:  # L6
            pass
    if intent.prune:
        _prune(core, entry, now_ns, verdict)
    else:
        verdict(True, now_ns)


def refute(core: Core, told: int, now_ns: int) -> None:
    """Deny that we leave, or left, later than anybody may have heard it."""
    core.clock.witness(min(told + _MARGIN - 1, LTIME_MAX - 1))
    broadcast_join(core, core.clock.time, now_ns)


def broadcast_join(core: Core, ltime: int, now_ns: int) -> None:
    """Tell that we are here, at a Lamport time that outbids what was said before (upstream `broadcastJoin`)."""
    intent = JoinIntent(ltime, core.me)
    on_join_intent(core, intent, now_ns, lambda _news, _now_ns: None)
    core.queues.intents.put(intent.encode(), unique=True)


def _prune(core: Core, entry: Entry, now_ns: int, verdict: Verdict) -> None:
    """Forget a member for good (upstream `handlePrune`).

    A leaving member gets time to finish its leave first. ⚠ Upstream sleeps under its lock
    meanwhile; here only what concerns this member waits, in order (defect D-12).
    """

    def prune(now_ns: int) -> None:
        core.log.info("serf: EventMemberReap (forced): %s %s", shown(entry.name), ip_text(entry.addr))
        if entry.status in (MemberStatus.LEAVING, MemberStatus.LEFT):
            swap_out(core.members.left, entry.name)
        erase(core, entry, now_ns)
        core.known.forget(entry.name)
        core.former.found(entry.name)
        if core.snapshot is not None:
            core.out += core.snapshot.forget(entry.name, now_ns)
        verdict(True, now_ns)

    if entry.status is not MemberStatus.LEAVING:
        prune(now_ns)
        return
    core.pruning[entry.name] = Deferred(prune)
    wait_ns = core.timing.broadcast_timeout_ns + core.timing.leave_propagate_delay_ns
    core.out.append(SetTimer(("serf-prune", entry.name), now_ns + wait_ns))


def on_prune_timer(core: Core, name: bytes, now_ns: int) -> None:
    """The time of a leaving member that is to be pruned is over."""
    deferred = core.pruning.pop(name)
    deferred.prune(now_ns)
    for action in deferred.actions:
        action(now_ns)
