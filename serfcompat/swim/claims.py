"""Claims about nodes: alive, suspect and dead, and how we refute those about ourselves.

How this works. A claim carries the incarnation of the node that it speaks of. Only the
node itself makes a new one, so between two claims the higher incarnation is the later
word, and at the same incarnation *dead* beats *suspect* beats *alive*. A claim that
changes our mind is gossiped on; one that does not is dropped, and that is what ends the
gossip. A suspect that stays silent until its timer fires is declared dead.

    unknown ──alive──▶ ALIVE ──suspect──▶ SUSPECT ──timer, dead──▶ DEAD ──reaped──▶ unknown
                         ▲                   │                       │
                         └── alive, newer ───┴───────────────────────┘      (LEFT: dead, by its own word)

Each line answers to a row of the tables in spec memberlist §6.2 to §6.5. One thing is
better than upstream: an accusation that changes no state may still raise the
incarnation, see `_heard_of`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable

from serfcompat.swim.effects import CancelTimer, Effect, Emit, SetTimer
from serfcompat.swim.events import NodeConflict, NodeJoined, NodeLeft, NodeState, NodeUpdated, NodeView
from serfcompat.swim.suspicion import Suspicion, confirmations_wanted, suspicion_timeouts
from serfcompat.swim.table import MAX_NODES, Membership, Node, text
from serfcompat.wire.address import Address, ip_text
from serfcompat.wire.messages import Alive, Dead, Suspect

MAX_CLAIM = 8192
"""Bytes of a claim worth keeping. A usual one has 200, one with all the metadata allowed under 800; a larger one
could hardly be gossiped on, but would fill our memory. Upstream has no bound."""


def on_alive(
    table: Membership, claim: Alive, now_ns: int, *, bootstrap: bool = False, token: Hashable | None = None
) -> list[Effect]:
    """Apply one alive claim, from gossip, push/pull or ourselves (spec memberlist §6.2, rules AL1-AL19).

    Args:
        bootstrap: Our own announcement, not to be refuted.
        token: Who waits for the broadcast of it to finish.
    """
    mine = claim.node == table.me
    vsn = claim.vsn or b""
    if table.leaving and mine:  # AL1
        return []
    if len(vsn) >= 3 and (vsn[0] == 0 or vsn[1] == 0 or vsn[0] > vsn[1]):  # AL2
        table.log.warning(
            "memberlist: ignoring an alive claim for %s: its versions are wrong: %d <= %d <= %d should hold",
            text(claim.node), vsn[0], vsn[2], vsn[1],
        )  # fmt: skip
        return []
    if (hook := table.hooks.alive) is not None:
        if len(vsn) < 6:  # AL3
            table.log.warning("memberlist: ignoring an alive claim for %s: it has no versions", text(claim.node))
            return []
        if reason := hook(_claimed(claim)):  # AL4
            table.log.warning("memberlist: ignoring an alive claim for %s: %s", text(claim.node), reason)
            return []

    node = table.nodes.get(claim.node)
    reclaim = False
    if node is None:
        if not table.allowed.allows(claim.addr or b""):  # AL5
            _not_allowed(table, claim)
            return []
        if len(table.ring) >= MAX_NODES:
            table.metrics.incr("serfcompat.drop.table_full")
            return []
        node = Node(claim.node, addr=claim.addr or b"", port=claim.port, meta=claim.meta, vsn=_six(vsn))  # AL6
        table.insert(node)
        table.lost.found(claim.node)
    elif node.addr != (claim.addr or b"") or node.port != claim.port:
        if not table.allowed.allows(claim.addr or b""):  # AL7
            _not_allowed(table, claim)
            return []
        if not _may_reclaim(table, node, now_ns):  # AL9. ⚠ Also when it is about us: no refutation.
            table.log.error(
                "memberlist: conflicting address for %s: mine is %s, theirs is %s; its state was %s",
                text(claim.node), node.address, Address(claim.addr or b"", claim.port), node.state.name.lower(),
            )  # fmt: skip
            return [Emit(NodeConflict(node.view(), _claimed(claim)))]
        table.log.info(
            "memberlist: %s moves from %s to %s: the old one is gone",
            text(claim.node), node.address, Address(claim.addr or b"", claim.port),
        )  # fmt: skip
        reclaim = True  # AL8

    if not mine and not reclaim and claim.incarnation <= node.incarnation:  # AL10
        return []
    if mine and claim.incarnation < node.incarnation:  # AL11
        return []
    effects = _drop_suspicion(table, claim.node)  # AL12
    was, old_meta = node.state, node.meta or b""
    if mine and not bootstrap:
        if claim.incarnation == node.incarnation and (claim.meta or b"") == old_meta and vsn == table.own_vsn:  # AL13
            return effects
        table.log.warning(
            "memberlist: refuting an alive claim about %s from an earlier life: incarnation %d with other %s",
            text(claim.node), claim.incarnation, "versions" if (claim.meta or b"") == old_meta else "metadata",
        )  # fmt: skip
        refute(table, claim.incarnation)  # AL14
    else:
        table.broadcasts.put(claim.encode(), name=claim.node, token=token)  # AL15
        node = table.own(node)
        node.incarnation, node.meta = claim.incarnation, claim.meta  # AL16
        node.addr, node.port = claim.addr or b"", claim.port
        node.vsn = _six(vsn) or node.vsn
        if node.state is not NodeState.ALIVE:
            node.become(NodeState.ALIVE, claim.incarnation, now_ns)
    table.metrics.incr("memberlist.msg.alive")  # AL17
    if was >= NodeState.DEAD:  # AL18
        effects.append(Emit(NodeJoined(node.view())))
    elif (node.meta or b"") != old_meta:  # AL19
        effects.append(Emit(NodeUpdated(node.view())))
    return effects


def on_suspect(table: Membership, claim: Suspect, now_ns: int) -> list[Effect]:
    """Apply one suspect claim (spec memberlist §6.3, rules SU1-SU7)."""
    node = table.nodes.get(claim.node)
    if node is None or claim.incarnation < node.incarnation:  # SU1, SU2
        return []
    suspicion = table.suspicions.get(claim.node)
    if suspicion is not None and claim.incarnation == node.incarnation:  # SU3
        if not suspicion.confirm(claim.from_, now_ns):
            return []
        table.broadcasts.put(claim.encode(), name=claim.node)
        return [SetTimer(("suspicion", claim.node), suspicion.due_ns)]
    # A suspect that is accused at a newer incarnation has refuted what its timer runs for: it is given its time
    # anew. (Upstream lets the old timer run, which buries it at the old incarnation, and soon unburies it.)
    if suspicion is None and node.state is not NodeState.ALIVE:  # SU4
        _heard_of(table, node, claim.incarnation)
        return []
    if claim.node == table.me:  # SU5
        table.log.warning("memberlist: refuting a suspicion about us, from %s", text(claim.from_))
        refute(table, claim.incarnation)
        return []
    table.broadcasts.put(claim.encode(), name=claim.node)  # SU6
    table.metrics.incr("memberlist.msg.suspect")
    table.own(node).become(NodeState.SUSPECT, claim.incarnation, now_ns)
    nodes = len(table.ring)  # SU7
    config = table.config
    shortest, longest = suspicion_timeouts(
        config.suspicion_mult, config.suspicion_max_timeout_mult, nodes, table.timing.probe_interval_ns
    )
    wanted = confirmations_wanted(config.suspicion_mult, nodes)
    suspicion = Suspicion(claim.from_, k=wanted, min_ns=shortest, max_ns=longest, started_ns=now_ns)
    table.suspicions[claim.node] = suspicion
    return [SetTimer(("suspicion", claim.node), suspicion.due_ns)]


def on_suspicion_timeout(table: Membership, name: bytes, now_ns: int) -> list[Effect]:
    """Declare a suspect dead whose time is over (spec memberlist §6.3, "Timer expiry")."""
    node, suspicion = table.nodes.get(name), table.suspicions.get(name)
    if node is None or suspicion is None or node.state is not NodeState.SUSPECT:
        return []
    if now_ns < suspicion.due_ns:  # a timer of an earlier suspicion (M-146)
        return []
    grace_ns = table.timing.probe_timeout_ns
    if now_ns - suspicion.due_ns > grace_ns and suspicion.postpone(now_ns + grace_ns):
        # It is we who were asleep: a refutation may have come meanwhile, and wait to be read.
        return [SetTimer(("suspicion", name), suspicion.due_ns)]
    if suspicion.confirmations < suspicion.k:  # never so if none are wanted (M-147)
        table.metrics.incr("memberlist.degraded.timeout")
    table.log.info(
        "memberlist: marking %s as failed, its suspicion ran out (%d peer confirmations)",
        text(name), suspicion.confirmations,
    )  # fmt: skip
    return on_dead(table, Dead(node.incarnation, node=name, from_=table.me), now_ns)


def on_dead(table: Membership, claim: Dead, now_ns: int, *, token: Hashable | None = None) -> list[Effect]:
    """Apply one dead claim; from the node itself it means "left" (spec memberlist §6.4, rules DE1-DE9).

    Args:
        token: Who waits for the broadcast of our own leave to finish.
    """
    node = table.nodes.get(claim.node)
    if node is None or claim.incarnation < node.incarnation:  # DE1, DE2
        return []
    effects = _drop_suspicion(table, claim.node)  # DE3
    if node.gone:  # DE4
        _heard_of(table, node, claim.incarnation)
        return effects
    if claim.node == table.me and not table.leaving:  # DE5
        table.log.warning("memberlist: refuting a death notice about us, from %s", text(claim.from_))
        refute(table, claim.incarnation)
        return effects
    table.broadcasts.put(claim.encode(), name=claim.node, token=token)  # DE6, DE7
    table.metrics.incr("memberlist.msg.dead")  # DE8
    state = NodeState.LEFT if claim.from_ == claim.node else NodeState.DEAD
    node = table.own(node)
    node.become(state, claim.incarnation, now_ns)
    effects.append(Emit(NodeLeft(node.view())))  # DE9
    return effects


def refute(table: Membership, accused: int) -> None:
    """Outbid a claim about ourselves (spec memberlist §6.5). Our state stays alive, no event.

    ⚠ Accused at 2^32 - 1 we wrap to 0 and lose, as upstream does (defect B-8): only louder.
    """
    me = table.nodes[table.me]
    if accused == 0xFFFFFFFF:
        table.log.error("memberlist: cannot outbid incarnation %d: somebody forges claims about us", accused)
    me.incarnation = table.next_incarnation(above=accused)
    table.judge_health(+1)
    alive = Alive(me.incarnation, node=me.name, addr=me.addr, port=me.port, meta=me.meta, vsn=table.own_vsn)
    # ⚠ Keyed by our address, not our name, as upstream: it replaces only an earlier refutation (M-143).
    table.broadcasts.put(alive.encode(), name=ip_text(me.addr).encode())


def announce(
    table: Membership, address: Address, meta: bytes | None, now_ns: int, token: Hashable | None
) -> list[Effect]:
    """Tell a new life or new metadata of ours (spec memberlist §6.16, Create and UpdateNode)."""
    claim = Alive(
        table.next_incarnation(), node=table.me, addr=address.ip, port=address.port, meta=meta, vsn=table.own_vsn
    )
    return on_alive(table, claim, now_ns, bootstrap=True, token=token)


def _heard_of(table: Membership, node: Node, incarnation: int) -> None:
    """Remember the highest incarnation that any accusation spoke of.

    Upstream forgets it when the node is accused already. A stale alive claim in between,
    delayed or duplicated on its way, then brings the dead back to life.
    """
    if incarnation > node.incarnation:
        table.own(node).incarnation = incarnation


def _may_reclaim(table: Membership, node: Node, now_ns: int) -> bool:
    """Whether a name may come from another address now: its owner left, or is dead for long enough (AL8)."""
    if node.state is NodeState.LEFT:
        return True
    limit = table.timing.dead_node_reclaim_time_ns
    return node.state is NodeState.DEAD and limit > 0 and now_ns - node.state_change_ns > limit


def _drop_suspicion(table: Membership, name: bytes) -> list[Effect]:
    if table.suspicions.pop(name, None) is None:
        return []
    return [CancelTimer(("suspicion", name))]


def _six(vsn: bytes) -> bytes:
    return vsn[:6] if len(vsn) >= 6 else b""


def _claimed(claim: Alive) -> NodeView:
    return NodeView(
        claim.node,
        claim.addr or b"",
        claim.port,
        claim.meta,
        _six(claim.vsn or b""),
        NodeState.ALIVE,
        claim.incarnation,
    )


def _not_allowed(table: Membership, claim: Alive) -> None:
    table.metrics.incr("serfcompat.drop.cidr")
    table.log.warning(
        "memberlist: rejecting %s: address %s is not in cidrs_allowed", text(claim.node), ip_text(claim.addr or b"")
    )


def with_known_port(claim: Alive, *, bind_port: int, protocol: int) -> Alive:
    """Before protocol 2, and for port 0, every node listens where we do (spec memberlist §1.10, P4)."""
    return dataclasses.replace(claim, port=bind_port) if protocol < 2 or claim.port == 0 else claim
