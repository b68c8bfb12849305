"""What memberlist reports: members join, leave, fail and change (spec serf §4.3).

⚠ Whether a member left or failed is decided by *Serf's* status, not by memberlist's own
distinction: only a member whose leave intent was heard leaves; any other fails.
"""

from __future__ import annotations

from collections.abc import Mapping

from serfcompat.serf.core import Core
from serfcompat.serf.deliver import deliver_member
from serfcompat.serf.events import EventType
from serfcompat.serf.member import MemberStatus
from serfcompat.serf.members import Entry, swap_out
from serfcompat.serf.recent_intents import IntentType
from serfcompat.serf.tags import decoded
from serfcompat.serf.text import shown
from serfcompat.swim.events import NodeView
from serfcompat.wire.address import ip_text


def on_node_joined(core: Core, node: NodeView, now_ns: int) -> None:
    """A member is alive that was not before (upstream `handleNodeJoin`)."""
    if deferred := core.pruning.get(node.name):
        deferred.add(lambda now_ns: on_node_joined(core, node, now_ns))
        return
    core.former.found(node.name)
    members = core.members
    core.known.forget(node.name)
    entry = members.get(node.name)
    if entry is None:
        was = MemberStatus.NONE
        entry = members.add(node.name, MemberStatus.ALIVE)
        # ⚠ The buffered intent stays buffered: a member that is erased and comes back meets it again.
        if (ltime := core.intents.lookup(node.name, IntentType.JOIN)) is not None:
            entry.status_ltime = ltime
        if (ltime := core.intents.lookup(node.name, IntentType.LEAVE)) is not None:
            entry.status_ltime = ltime
            members.become(entry, MemberStatus.LEAVING)
    else:
        entry = members.own(entry)
        was = entry.status
        if (
            was is MemberStatus.FAILED
            and entry.leave_ns is not None
            and now_ns - entry.leave_ns < core.timing.flap_timeout_ns
        ):
            core.metrics.incr("serf.member.flap")
        members.become(entry, MemberStatus.ALIVE)
        entry.leave_ns = None
    members.describe(entry, node, _tags(core, node))
    if was in (MemberStatus.FAILED, MemberStatus.LEFT):
        swap_out(members.failed, node.name)
        swap_out(members.left, node.name)
    core.metrics.incr("serf.member.join")
    core.log.info("serf: EventMemberJoin: %s %s", shown(node.name), ip_text(node.addr))
    deliver_member(core, EventType.MEMBER_JOIN, entry, now_ns)


def on_node_left(core: Core, node: NodeView, now_ns: int) -> None:
    """A member is gone: a leaving one has left, an alive one failed (upstream `handleNodeLeave`)."""
    if deferred := core.pruning.get(node.name):
        deferred.add(lambda now_ns: on_node_left(core, node, now_ns))
        return
    members = core.members
    entry = members.get(node.name)
    if entry is None:
        return
    entry = members.own(entry)
    match entry.status:
        case MemberStatus.LEAVING:
            members.become(entry, MemberStatus.LEFT)
            members.left.append(entry)
            type, word, counter = EventType.MEMBER_LEAVE, "EventMemberLeave", "serf.member.left"
        case MemberStatus.ALIVE:
            members.become(entry, MemberStatus.FAILED)
            members.failed.append(entry)
            type, word, counter = EventType.MEMBER_FAILED, "EventMemberFailed", "serf.member.failed"
        case status:
            core.log.warning("serf: Bad state when leave: %d", status)
            return
    entry.leave_ns = now_ns
    core.metrics.incr(counter)
    core.log.info("serf: %s: %s %s", word, shown(entry.name), ip_text(entry.addr))
    deliver_member(core, type, entry, now_ns)


def on_node_updated(core: Core, node: NodeView, now_ns: int) -> None:
    """A member's metadata changed (upstream `handleNodeUpdate`)."""
    if deferred := core.pruning.get(node.name):
        deferred.add(lambda now_ns: on_node_updated(core, node, now_ns))
        return
    entry = core.members.get(node.name)
    if entry is None:
        return
    entry = core.members.own(entry)
    core.members.describe(entry, node, _tags(core, node))
    core.metrics.incr("serf.member.update")
    core.log.info("serf: EventMemberUpdate: %s", shown(entry.name))
    deliver_member(core, EventType.MEMBER_UPDATE, entry, now_ns)


def erase(core: Core, entry: Entry, now_ns: int) -> None:
    """Forget a member; its place in the failed or left list is the caller's business (upstream `eraseNode`)."""
    core.members.remove(entry)
    if core.coordinates is not None:
        core.coordinates.forget(entry.name)
    deliver_member(core, EventType.MEMBER_REAP, entry, now_ns)


def _tags(core: Core, node: NodeView) -> Mapping[str, str]:
    tags, error = decoded(node.meta or b"")
    if error is not None:
        core.log.error("serf: Failed to decode tags: %s", error)
    return tags
