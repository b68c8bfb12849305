"""Several messages in one packet."""

from __future__ import annotations

import struct
import time

from serfcompat.conformance.bench import ANSWER, Bench, decoded
from serfcompat.conformance.case import Area, Severity, case, expect
from serfcompat.wire.messages import Ack
from serfcompat.wire.packet import compound
from serfcompat.wire.types import MessageType


def _all_are_answered(bench: Bench, parts: int) -> None:
    """Broken unless each of so many pings in one compound gets its ack; the compound is sent again if one doesn't."""
    end = bench.stranger()
    pings = [bench.new_ping(b"") for _ in range(parts)]
    packet = compound([ping.encode() for ping in pings])
    missing = {ping.seq_no for ping in pings}
    deadline = time.monotonic() + ANSWER
    while missing and time.monotonic() < deadline:
        end.send_raw_sealed(packet, bench.node.address)
        while missing:
            try:
                missing.discard(decoded(Ack, end.receive(MessageType.ACK, 1.0)).seq_no)
            except TimeoutError:
                break
    expect(not missing, f"an ack for each of {parts} pings in one compound", f"{len(missing)} acks did not come")


@case("compound-1", Area.COMPOUND, "M-002")
def a_compound_of_one_is_read(bench: Bench) -> None:
    """A compound may have a single part."""
    _all_are_answered(bench, 1)


@case("compound-2", Area.COMPOUND, "M-002")
def all_parts_are_handled(bench: Bench) -> None:
    """Each part of a compound is handled."""
    _all_are_answered(bench, 2)


@case("compound-127", Area.COMPOUND, "M-002")
def a_compound_of_127_is_read(bench: Bench) -> None:
    """A compound may have 127 parts."""
    _all_are_answered(bench, 127)


@case("compound-128", Area.COMPOUND, "M-037", since="0.2.4")
def a_compound_of_128_is_read(bench: Bench) -> None:
    """A compound may have 128 parts, whose lengths take 256 bytes."""
    _all_are_answered(bench, 128)


@case("compound-255", Area.COMPOUND, "M-037", since="0.2.4")
def a_compound_of_255_is_read(bench: Bench) -> None:
    """A compound may have 255 parts, as many as its count can tell."""
    _all_are_answered(bench, 255)


def _packet(*lengths_and_rest: bytes | list[int]) -> bytes:
    lengths, rest = lengths_and_rest
    assert isinstance(lengths, list)
    assert isinstance(rest, bytes)
    return struct.pack(f">BB{len(lengths)}H", MessageType.COMPOUND, len(lengths), *lengths) + rest


@case("compound-empty", Area.COMPOUND, "M-035")
def a_compound_of_nothing_is_ignored(bench: Bench) -> None:
    """A compound of 0 parts is legal and does nothing, whatever follows the count."""
    end = bench.stranger()
    ping = bench.new_ping()
    packet = _packet([], ping.encode())
    bench.is_ignored(end, bench.sending(end, packet), ping.seq_no, "what follows a compound of 0 parts")


@case("compound-cut", Area.COMPOUND, "M-033")
def whole_parts_of_a_cut_compound_are_handled(bench: Bench) -> None:
    """Of a compound that is cut off in a part, the parts before are handled, and the cut one isn't."""
    end = bench.stranger()
    whole, cut = bench.new_ping(), bench.new_ping(b"")
    first, second = whole.encode(), cut.encode()
    packet = _packet([len(first), len(second) + 5], first + second)
    bench.ask_raw(
        end,
        bench.sending(end, packet),
        whole.seq_no,
        "an ack for the whole part of a compound that is cut off later",
    )
    bench.is_ignored(
        end,
        bench.sending(end, packet),
        cut.seq_no,
        "a part that is shorter than its length",
    )


@case("compound-short-table", Area.COMPOUND, "M-034")
def a_compound_without_all_lengths_is_dropped(bench: Bench) -> None:
    """A compound that ends before all its lengths were told is dropped whole, and so is one without a count."""
    end = bench.stranger()
    ping = bench.new_ping()
    part = ping.encode()
    packet = struct.pack(">BBH", MessageType.COMPOUND, 200, len(part)) + part
    bench.is_ignored(
        end,
        bench.sending(end, packet),
        ping.seq_no,
        "a compound whose lengths are cut off",
    )
    end.send_raw_sealed(bytes((MessageType.COMPOUND,)), bench.node.address)
    bench.lives("a compound without a count")


@case("compound-empty-part", Area.COMPOUND, "M-035", since="0.2.4")
def an_empty_part_is_dropped_alone(bench: Bench) -> None:
    """A part of 0 bytes is dropped, and the others are handled."""
    end = bench.stranger()
    before, after = bench.new_ping(), bench.new_ping()
    packet = _packet([len(before.encode()), 0, len(after.encode())], before.encode() + after.encode())
    for ping in (before, after):
        bench.ask_raw(end, bench.sending(end, packet), ping.seq_no)


@case("compound-rest", Area.COMPOUND, "M-033")
def bytes_after_the_last_part_are_ignored(bench: Bench) -> None:
    """Bytes after the last part of a compound are ignored."""
    end = bench.stranger()
    ping, hidden = bench.new_ping(), bench.new_ping(b"")
    packet = _packet([len(ping.encode())], ping.encode() + hidden.encode())
    bench.ask_raw(end, bench.sending(end, packet), ping.seq_no)
    bench.is_ignored(
        end,
        bench.sending(end, packet),
        hidden.seq_no,
        "a message after the last part of a compound",
    )


@case("compound-nested", Area.COMPOUND, "M-036")
def compounds_nest(bench: Bench) -> None:
    """A part of a compound may be a compound itself."""
    end = bench.stranger()
    inner, outer = bench.new_ping(), bench.new_ping()
    packet = compound([compound([compound([inner.encode()])]), outer.encode()])
    for ping in (inner, outer):
        bench.ask_raw(end, bench.sending(end, packet), ping.seq_no)


@case("compound-foreign-part", Area.COMPOUND, "M-032", "M-044")
def what_is_no_packet_message_is_dropped_alone(bench: Bench) -> None:
    """Parts of types that have no place in a packet, and parts that can't be read, are dropped; the others are
    handled.
    """
    end = bench.stranger()
    checked = bench.new_ping(b"").encode()
    bad = [
        bytes((MessageType.PUSH_PULL,)) + checked,
        bytes((MessageType.ENCRYPT,)) + checked,
        bytes((MessageType.CRC, 1, 2, 3, 4)) + checked,
        bytes((MessageType.ERROR,)) + checked,
        bytes((MessageType.LABEL, 1, 97)) + checked,
        bytes((99,)),
        bytes((MessageType.PING, 0xC1)),
        bytes((MessageType.ALIVE, 0x81)),
    ]
    ping = bench.new_ping()
    packet = compound([*bad, ping.encode()])
    bench.ask_raw(end, bench.sending(end, packet), ping.seq_no)


@case("compound-sent", Area.COMPOUND, "M-001", "M-002", severity=Severity.SHOULD, limit=30)
def news_ride_on_acks(bench: Bench) -> None:
    """A node that has news puts them behind the acks it sends, as a compound with the ack first."""
    member = bench.member("newsmonger")
    end = bench.stranger()
    deadline = time.monotonic() + ANSWER
    while time.monotonic() < deadline:
        member.incarnation += 1
        member.send(member.alive.encode(), bench.node.address)
        ping = bench.new_ping()
        end.send(ping.encode(), bench.node.address)
        found = end.receive_with(MessageType.ACK, 1.0)
        if len(found) > 1:
            expect(found[0][0] == MessageType.ACK, "the ack as the first part of the compound", f"type {found[0][0]}")
            return
    expect(False, "an ack in a compound with the news about a member", "acks came alone")
