"""Push/pull: full state exchange, its schedule, and who may merge (spec memberlist §2.6, §6.8, §6.12, §6.13)."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from serfcompat.errors import MergeRefused
from serfcompat.swim.claims import MAX_CLAIM, on_alive, on_dead, on_suspect
from serfcompat.swim.dice import pick
from serfcompat.swim.effects import Effect, Emit, StartPushPull
from serfcompat.swim.events import NodeState, NodeView, RemoteStateReceived
from serfcompat.swim.table import Membership, text
from serfcompat.wire.messages import Alive, Dead, PushPullNode, Suspect
from serfcompat.wire.stream import PushPull, push_pull_message

_SCALE_FROM = 32
"Clusters larger than this exchange state less often."


def scaled_interval(interval_ns: int, nodes: int) -> int:
    """The push/pull interval in a cluster of `nodes`: ×1 up to 32, ×2 up to 64, ×3 up to 128 … (M-174)."""
    if nodes <= _SCALE_FROM:
        return interval_ns
    return interval_ns * (math.ceil(math.log2(nodes) - math.log2(_SCALE_FROM)) + 1)


def on_push_pull_tick(table: Membership, now_ns: int) -> list[Effect]:
    """Exchange state with one random alive node (M-175); and ask a lost one to join us, if there are any."""
    chosen = pick(table.dice, 1, table.ring, lambda node: node.state is NodeState.ALIVE and node.name != table.me)
    effects: list[Effect] = [StartPushPull(node.address, node.name) for node in chosen]
    if len(table.lost) and (lost := table.lost.pick(table.dice, table.alive_count(), now_ns)):
        name, address = lost
        effects.append(StartPushPull(address, name, join=True))
    return effects


def local_state(table: Membership, join: bool) -> bytes:
    """Our half of an exchange: every node we know, in any state, and the user's state (spec §2.6)."""
    known = [
        PushPullNode(node.name, node.addr, node.port, node.meta, node.incarnation, node.state, node.vsn)
        for node in table.ring
        # Without versions a node would make the other side refuse the whole exchange (defect B-15).
        if node.vsn
    ]
    counts = Counter(node.state for node in table.ring)
    for state in NodeState:
        labels = {"node_state": state.name.lower()}
        table.metrics.gauge("memberlist.node.instances", counts[state], labels)
    user_state = table.hooks.local_state(join) if table.hooks.local_state is not None else None
    message = push_pull_message(join, known, user_state)
    table.metrics.gauge("memberlist.size.local", len(message))
    return message


def merge(table: Membership, remote: PushPull, now_ns: int, *, join: bool) -> list[Effect]:
    """Take over what another node knows (spec §6.8).

    Raises:
        MergeRefused: Versions that don't fit together, or the merge hook said no. Nothing was merged.
    """
    nodes = with_known_ports(remote.nodes, bind_port=table.config.bind_port, protocol=table.config.protocol_version)
    verify_versions(table, nodes)
    if join and table.hooks.merge is not None and (reason := table.hooks.merge([_view(node) for node in nodes])):
        raise MergeRefused(reason)
    effects: list[Effect] = []
    alive, me = NodeState.ALIVE, table.myself
    hooked = table.hooks.alive is not None  # ⚠ it is asked about old news, too
    for node in nodes:
        known = table.nodes.get(node.name)
        # By far most entries are old news (AL10). They are not worth being made into claims.
        if (
            known is not None
            and node.incarnation <= known.incarnation
            and node.state == alive
            and node.addr == known.addr
            and node.port == known.port
            and known is not me
            and not hooked
        ):
            continue
        effects += merge_node(table, node, now_ns)
    if remote.user_state:
        effects.append(Emit(RemoteStateReceived(remote.user_state, join)))
    return effects


def merge_node(table: Membership, node: PushPullNode, now_ns: int) -> list[Effect]:
    """One entry of the other's table, as the claim that it stands for (M-176)."""
    if len(node.name) + len(node.meta or b"") + len(node.addr or b"") > MAX_CLAIM:
        table.metrics.incr("serfcompat.drop.claim_too_large")
        return []
    match node.state:
        case NodeState.ALIVE:
            claim = Alive(node.incarnation, node.name, node.addr, node.port, node.meta, node.vsn)
            return on_alive(table, claim, now_ns)
        case NodeState.LEFT:
            return on_dead(table, Dead(node.incarnation, node=node.name, from_=node.name), now_ns)
        case NodeState.DEAD | NodeState.SUSPECT:
            # Not our own observation: let the accused refute it first.
            return on_suspect(table, Suspect(node.incarnation, node=node.name, from_=table.me), now_ns)
        case _:
            return []  # a state from the future


def with_known_ports(nodes: Sequence[PushPullNode], *, bind_port: int, protocol: int) -> Sequence[PushPullNode]:
    """Before protocol 2, and for port 0, every node listens where we do (spec §2.6 step 5)."""
    if protocol >= 2 and 0 not in {node.port for node in nodes}:
        return nodes
    return [dataclasses.replace(n, port=bind_port) if protocol < 2 or n.port == 0 else n for n in nodes]


def verify_versions(table: Membership, remote: Sequence[PushPullNode]) -> None:
    """Refuse a merge after which some node could not understand another (spec §6.13).

    Alive nodes vote on the common range; every node, alive or not, must speak a version inside it.
    """
    local = [node for node in table.ring if node.vsn]  # the others have told us nothing yet (defect B-15)
    versions = {node.vsn for node in remote} | {node.vsn for node in local}
    complete = [vsn for vsn in versions if vsn and len(vsn) >= 6]
    if len(complete) == len(versions) and not any(map(_misfit(complete), complete)):
        return  # who fits when all vote fits when some do
    votes = {n.vsn for n in remote if n.state == NodeState.ALIVE and n.vsn and len(n.vsn) >= 5}
    votes |= {n.vsn for n in local if n.state is NodeState.ALIVE}
    misfit = _misfit(votes)
    # ⚠ A remote node without versions counts as speaking 0, and so does not fit (M-179).
    spoken = [("remote", n.name, n.vsn if n.vsn and len(n.vsn) >= 6 else bytes(6)) for n in remote]
    spoken += [("local", n.name, n.vsn) for n in local]
    for side, name, vsn in spoken:
        if wrong := misfit(vsn):
            raise MergeRefused(f"{side} node '{text(name)}' speaks {wrong}")


def _misfit(votes: Collection[bytes]) -> Callable[[bytes], str | None]:
    """Tells what is wrong with some versions where these ones, of five bytes at least, vote; None: they fit."""
    low, high = max((v[0] for v in votes), default=0), min((v[1] for v in votes), default=255)
    low_above, high_above = max((v[3] for v in votes), default=0), min((v[4] for v in votes), default=255)

    def misfit(vsn: bytes) -> str | None:
        if not low <= vsn[2] <= high:
            return f"protocol version {vsn[2]}, but all nodes understand only [{low}, {high}]"
        if not low_above <= vsn[5] <= high_above:
            return f"delegate version {vsn[5]}, but all nodes understand only [{low_above}, {high_above}]"
        return None

    return misfit


def _view(node: PushPullNode) -> NodeView:
    state = NodeState(node.state) if 0 <= node.state <= NodeState.LEFT else NodeState.DEAD
    vsn = node.vsn[:6] if node.vsn and len(node.vsn) >= 6 else b""
    return NodeView(node.name, node.addr or b"", node.port, node.meta, vsn, state, node.incarnation)
