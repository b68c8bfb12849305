"""Tell a node that it is held for dead, when it shows that it isn't.

A node refutes what it hears about itself. One that was restarted begins again at
incarnation 1; who remembers its last life as dead at a higher one ignores whatever it
says. Upstream leaves it to the next push/pull to tell it. When a whole cluster restarts
at once, that may take very long: those who remember don't meet those who could pass it
on. Here the one who remembers says so to the node itself, as a probe does to a suspect,
and the node's refutation settles the matter within a round trip.
"""

from __future__ import annotations

from serfcompat.swim.effects import Effect
from serfcompat.swim.sender import Sender
from serfcompat.swim.table import NEVER_NS, Membership
from serfcompat.wire.address import Address
from serfcompat.wire.messages import Suspect


def remind(table: Membership, sender: Sender, name: bytes, at: Address, now_ns: int) -> list[Effect]:
    """Accuse a node to its face if we hold it for dead or left; at most once per probe interval.

    Args:
        at: Where it claims to be. Elsewhere than we know it: a conflict of names, and no refutation could help.
    """
    node = table.nodes.get(name)
    if node is None or not node.gone or node.address != at or name == table.me:
        return []
    if node.state_change_ns == NEVER_NS:  # it never was alive (rule AL10): nobody accuses it
        return []
    if now_ns - node.reminded_ns < table.timing.probe_interval_ns:
        return []
    node = table.own(node)
    node.reminded_ns = now_ns
    # A suspicion, not a death notice: should another node listen there now, it does no harm.
    return sender.raw(Suspect(node.incarnation, node=name, from_=table.me).encode(), node.address, node=node)
