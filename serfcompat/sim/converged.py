"""A cluster that begins with everybody knowing everybody, as after a long quiet time.

A thousand joins would cost more than an hour of quiet life (each spreads to everybody).
So the tables are filled directly: one shared table for all, see `shared`. Joining is
simulated, and measured, by clusters that start `joining`.
"""

from __future__ import annotations

from collections.abc import Sequence

from serfcompat.serf.engine import SerfEngine
from serfcompat.serf.member import MemberStatus
from serfcompat.serf.members import Entry, Members
from serfcompat.serf.tags import decoded
from serfcompat.sim.host import Host
from serfcompat.sim.shared import SharedDict, own
from serfcompat.swim.dice import Dice
from serfcompat.swim.events import NodeState
from serfcompat.swim.pushpull import scaled_interval
from serfcompat.swim.table import Membership, Node

_RINGS = 64
"Shuffled probe orders made; every node begins somewhere in one of them."


class ConvergedTable:
    """What every node of a quiet cluster thinks of every member."""

    def __init__(self, hosts: Sequence[Host], dice: Dice) -> None:
        """Made from nodes that have just started, and so know themselves."""
        mine = [host.swim.table.nodes[host.raw] for host in hosts]
        self._nodes = {node.name: _copy(node) for node in mine}
        self._rings = [list(self._nodes.values()) for _ in range(min(_RINGS, len(hosts)))]
        for ring in self._rings:
            dice.shuffle(ring)
        self._entries = {node.name: _entry(node) for node in mine}

    def teach(self, host: Host) -> int:
        """Let a node that has just started know everybody; returns in how many nanoseconds its first push/pull is due.

        Nothing is left to gossip. Its probe order begins at a random place, and its push/pull
        is due anywhere in the interval of a cluster of this size.
        """
        swim = host.swim
        table, dice = swim.table, host.dice
        table.broadcasts.reset()
        table.broadcasts.finished.clear()
        ring = self._rings[dice.randrange(len(self._rings))]
        at = dice.randrange(len(ring))
        _share(table, self._nodes, ring[at:] + ring[:at])
        if isinstance(host.engine, SerfEngine):
            core = host.engine.core
            _share_members(core.members, self._entries)
            for queue in (core.queues.intents, core.queues.queries, core.queues.events):
                queue.reset()
            core.queues.take_finished()
            core.clock.witness(len(self._nodes))
        return int(dice.random() * scaled_interval(table.timing.push_pull_interval_ns, len(ring)))


def _share(table: Membership, nodes: dict[bytes, Node], ring: list[Node]) -> None:
    mine = table.nodes[table.me]
    table.nodes = SharedDict(nodes)
    table.ring = ring
    table.own = own(nodes, lambda: table.nodes, lambda: table.ring)
    table.nodes[table.me] = mine
    ring[ring.index(nodes[table.me])] = mine


def _share_members(members: Members, entries: dict[bytes, Entry]) -> None:
    me = next(iter(members.by_name.values()))
    me.status_ltime = 1
    members.by_name = SharedDict(entries)
    members.own = own(entries, lambda: members.by_name, list)
    members.by_name[me.name] = me


def _copy(node: Node) -> Node:
    return Node(
        node.name, node.incarnation, NodeState.ALIVE, addr=node.addr, port=node.port, meta=node.meta, vsn=node.vsn
    )


def _entry(node: Node) -> Entry:
    entry = Entry(node.name, MemberStatus.ALIVE)
    entry.addr, entry.port, entry.vsn = node.addr, node.port, node.vsn
    entry.tags, _ = decoded(node.meta or b"")
    entry.status_ltime = 1
    return entry
