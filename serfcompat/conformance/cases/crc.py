"""Checksums of packets."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from zlib import crc32

from serfcompat.conformance.bench import Bench
from serfcompat.conformance.case import Area, Broken, Need, Severity, case, expect
from serfcompat.conformance.peer import Heard, Peer
from serfcompat.wire.label import split
from serfcompat.wire.messages import Alive
from serfcompat.wire.packet import compound
from serfcompat.wire.types import MessageType

CRC = MessageType.CRC


_DIRECT = (MessageType.PING, MessageType.INDIRECT_PING, MessageType.ACK, MessageType.NACK)
"What is sent to an address, and not to a member."


def checked(payload: bytes) -> bytes:
    return struct.pack(">BI", CRC, crc32(payload)) + payload


@case("crc-good", Area.CRC, "M-005")
def a_packet_with_the_right_checksum_is_read(bench: Bench) -> None:
    """A packet that begins with the CRC32 of its rest is read."""
    bench.ask(bench.stranger(), crc=True)


@case("crc-bad", Area.CRC, "M-031")
def a_packet_with_a_wrong_checksum_is_dropped(bench: Bench) -> None:
    """A packet whose checksum is wrong is dropped."""
    end = bench.stranger()
    ping = bench.new_ping()
    body = ping.encode()
    packet = struct.pack(">BI", CRC, crc32(body) ^ 1) + body
    bench.is_ignored(end, bench.sending(end, packet), ping.seq_no, "a packet with a wrong checksum")


@case("crc-short", Area.CRC, "M-031")
def a_checksum_without_a_packet_does_no_harm(bench: Bench) -> None:
    """A checksum of fewer than 4 bytes, or of nothing, is dropped."""
    end = bench.stranger()
    for packet in (bytes((CRC,)), bytes((CRC, 0, 0)), struct.pack(">BI", CRC, 1)):
        end.send_raw_sealed(packet, bench.node.address)
    bench.ask(end)


@case("crc-once", Area.CRC, "M-031", "M-032")
def a_checksum_counts_only_outside(bench: Bench) -> None:
    """A checksum inside a compound, or inside another checksum, makes the message unknown."""
    end = bench.stranger()
    ping = bench.new_ping()
    for packet in (compound([checked(ping.encode())]), checked(checked(ping.encode()))):
        bench.is_ignored(end, bench.sending(end, packet), ping.seq_no, "an inner checksum")


def _gossip(bench: Bench, member: Peer) -> bytes:
    """A packet of gossip that reaches a member, without label."""

    def found(heard: Sequence[Heard]) -> bytes | None:
        direct = {each.datagram for each in heard if each.position == 0 and each.kind in _DIRECT}
        for each in heard:
            if (
                each.datagram not in direct
                and each.kind == MessageType.ALIVE
                and Alive.decode(each.body).node == member.name
            ):
                return each.datagram
        return None

    for _ in range(30):
        member.incarnation += 1
        bench.tell(member.alive)
        try:
            return split(member.wait_until(found, limit=0.5))[1]
        except TimeoutError:
            continue
    raise Broken("gossip about a member's new incarnation", "none came")


@case("crc-gossip", Area.CRC, "M-005", "M-007", "M-010", needs=[Need.NO_KEY], limit=40)
def gossip_has_a_checksum(bench: Bench) -> None:
    """Gossip to a member that understands protocol 5 begins with the right checksum."""
    packet = _gossip(bench, bench.member())
    expect(packet[0] == CRC, "a packet of gossip that begins with byte 12 and a CRC32", packet[:16].hex())
    (said,) = struct.unpack_from(">I", packet, 1)
    expect(said == crc32(packet[5:]), f"checksum {crc32(packet[5:]):08x}", f"{said:08x}")


@case("crc-old-member", Area.CRC, "M-007", needs=[Need.NO_KEY], limit=40)
def old_members_get_no_checksum(bench: Bench) -> None:
    """Gossip to a member that understands protocol 4 at most has no checksum: it would not be understood."""
    vsn = bytearray(bench.me.vsn or b"")
    vsn[1] = 4
    packet = _gossip(bench, bench.member(vsn=bytes(vsn)))
    expect(packet[0] != CRC, "a packet of gossip without checksum", packet[:16].hex())


@case("crc-ack", Area.CRC, "M-009", severity=Severity.SHOULD)
def an_ack_to_a_stranger_has_no_checksum(bench: Bench) -> None:
    """An ack to an address that isn't the name of a member has no checksum: nobody knows what is understood there."""
    end = bench.stranger()
    ping = bench.new_ping()
    for _ in range(3):
        end.send(ping.encode(), bench.node.address)
        try:
            packet = end.receive_plain(1.0)
        except TimeoutError:
            continue
        expect(packet[:1] != bytes((CRC,)), "an ack without checksum", packet.hex())
        return
    expect(False, "an ack", "none came")
