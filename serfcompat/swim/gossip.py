"""The gossip tick: pass broadcasts on to a few random nodes (spec memberlist §6.11)."""

from __future__ import annotations

from serfcompat.swim.dice import pick
from serfcompat.swim.effects import Effect
from serfcompat.swim.events import NodeState
from serfcompat.swim.sender import Sender
from serfcompat.swim.table import Membership, Node

HURRY = 4
"Ticks in the time of one, while much waits and everybody is a target of each."


def on_gossip_tick(table: Membership, sender: Sender, now_ns: int) -> list[Effect]:
    """Each target takes its own batch; the first for which nothing is left ends the tick (M-021)."""
    hooks = table.hooks
    if not len(table.broadcasts) and (hooks.broadcasts is None or (hooks.pending is not None and not hooks.pending())):
        return []

    def wanted(node: Node) -> bool:
        if node.name == table.me or node.state is NodeState.LEFT:
            return False
        recent = now_ns - node.state_change_ns <= table.timing.gossip_to_the_dead_time_ns
        return node.state is not NodeState.DEAD or recent

    effects: list[Effect] = []
    for node in pick(table.dice, table.config.gossip_nodes, table.ring, wanted):
        messages = sender.broadcasts(sender.gossip_room())
        if not messages:
            break
        effects += sender.gossip(messages, node)
    return effects


def pace(table: Membership, sender: Sender) -> int:
    """How many ticks there shall be in the time of one.

    Upstream's ticks carry one packet for each target, however much waits. In a cluster in which each tick
    reaches everybody, nobody has to pass anything on, so that whoever has more to say may well say it
    sooner. Elsewhere the others' ticks are the limit, and haste would only be lost on them.
    """
    if len(table.ring) - 1 > table.config.gossip_nodes:
        return 1
    waiting = table.broadcasts.size + (0 if table.hooks.pending is None else table.hooks.pending())
    return HURRY if 2 * waiting >= sender.gossip_room() else 1
