"""From a message to a finished datagram: piggyback, budgets and the CRC decision (spec memberlist §1.3 to §1.6)."""

from __future__ import annotations

from collections.abc import Callable

from serfcompat.swim.effects import Effect, SendPacket
from serfcompat.swim.table import Membership, Node
from serfcompat.wire.address import Address, ip_text
from serfcompat.wire.layers import Layers, encryption_overhead, label_overhead
from serfcompat.wire.packet import build, compound, compounds
from serfcompat.wire.types import MessageType

_ENTRY_OVERHEAD = 2
"Bytes that a part costs in a compound's length table (compoundOverhead)."
_COMPOUND_OVERHEAD = 2
_USER_OVERHEAD = 1
_CRC_SINCE = 5
"Protocol that understands the CRC header."


class Sender:
    """Makes `SendPacket` effects. Holds no state of its own beside how packets are wrapped."""

    def __init__(self, table: Membership, layers: Layers, nonce: Callable[[], bytes]) -> None:
        self.table = table
        self.layers = layers
        self.nonce = nonce

    def raw(
        self, payload: bytes, to: Address, *, node: Node | None = None, name: bytes = b"", probe: int | None = None
    ) -> list[Effect]:
        """Wrap and send a payload as it is (spec §1.3).

        Args:
            node: The destination, if the caller knows it as a node: it decides about the CRC header.
            name: The destination's name, for `require_node_names`.
        """
        table = self.table
        if table.config.require_node_names and not (name or (node is not None and node.name)):
            table.log.warning("memberlist: not sending to %s: node names are required, this one has none", to)
            return []
        if node is None:
            # ⚠ Upstream looks the *host* up as if it were a node name: it finds only nodes named by their IP (M-008).
            node = table.nodes.get(ip_text(to.ip).encode())
        crc = node is not None and node.protocol_max >= _CRC_SINCE
        datagram = build(payload, self.layers, crc=crc, nonce=self.nonce)
        table.metrics.incr("memberlist.udp.sent", len(datagram) - label_overhead(self.layers.label))
        return [SendPacket(datagram, to, probe)]

    def piggybacked(self, message: bytes, to: Address, *, name: bytes, probe: int | None = None) -> list[Effect]:
        """Send a message together with as many broadcasts as fit (spec §1.4)."""
        layers = self.layers
        room = self.table.config.udp_buffer_size - len(message) - _COMPOUND_OVERHEAD - label_overhead(layers.label)
        if layers.keys and layers.verify_outgoing:
            room -= encryption_overhead(layers.encryption_version)
        riders = self.broadcasts(room)
        if not riders:
            return self.raw(message, to, name=name, probe=probe)
        first, *rest = compounds([message, *riders])
        effects = self.raw(first, to, name=name, probe=probe)
        for surplus in rest:  # only a hook that returns hundreds of tiny messages gets here (defect B-3)
            effects += self.raw(surplus, to, name=name)
        return effects

    def gossip_room(self) -> int:
        """Bytes for broadcasts in a gossip packet (spec §1.5).

        ⚠ Unlike in `piggybacked`, upstream reserves room for encryption even where it does not encrypt (M-015).
        """
        layers = self.layers
        room = self.table.config.udp_buffer_size - _COMPOUND_OVERHEAD - label_overhead(layers.label)
        return room - encryption_overhead(layers.encryption_version) if layers.keys else room

    def broadcasts(self, room: int) -> list[bytes]:
        """Claims first, then what the layer above wants to say, within `room` bytes (spec §1.6)."""
        table = self.table
        messages = table.broadcasts.get(_ENTRY_OVERHEAD, room, len(table.ring))
        if table.hooks.broadcasts is not None:
            room -= sum(map(len, messages)) + _ENTRY_OVERHEAD * len(messages)
            overhead = _ENTRY_OVERHEAD + _USER_OVERHEAD
            if room > overhead:
                messages += [user_packet(payload) for payload in table.hooks.broadcasts(overhead, room)]
        return messages

    def gossip(self, messages: list[bytes], node: Node) -> list[Effect]:
        """Send a batch of broadcasts to one node (spec §1.5)."""
        if len(messages) == 1:
            return self.raw(messages[0], node.address, node=node)
        return [e for part in compounds(messages) for e in self.raw(part, node.address, node=node)]

    def together(self, messages: list[bytes], node: Node, *, probe: int | None = None) -> list[Effect]:
        """Send a few messages to a known node in one compound, with no piggyback."""
        return self.raw(compound(messages), node.address, node=node, probe=probe)


def user_packet(payload: bytes) -> bytes:
    """A user message as packets carry it: no length, no msgpack."""
    return bytes((MessageType.USER,)) + payload
