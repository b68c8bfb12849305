"""Forms of msgpack that must be understood, or refused."""

from __future__ import annotations

from serfcompat.conformance.bench import Bench
from serfcompat.conformance.case import Area, Severity, case
from serfcompat.conformance.release import BEYOND
from serfcompat.wire.gomsgpack import write_text
from serfcompat.wire.packet import compound
from serfcompat.wire.types import MessageType

V2 = "0.5.1"
"The release that came with another msgpack library."


def _ping(bench: Bench, fields: bytes, count: int, seq_no: int) -> bytes:
    """A ping with these fields beside its number."""
    return bytes((MessageType.PING, 0x80 + count + 1)) + fields + _text(b"SeqNo") + _u32(seq_no)


def _text(text: bytes) -> bytes:
    return write_text(text)


def _u32(number: int) -> bytes:
    return b"\xce" + number.to_bytes(4, "big")


def _understood(bench: Bench, fields: bytes, count: int = 1) -> None:
    end, seq_no = bench.stranger(), bench.new_ping().seq_no
    message = _ping(bench, fields, count, seq_no)
    bench.ask_raw(end, bench.sending(end, message), seq_no, f"an ack of {message.hex()}")


def _refused(bench: Bench, fields: bytes, what: str, count: int = 1) -> None:
    end, seq_no = bench.stranger(), bench.new_ping().seq_no
    message = _ping(bench, fields, count, seq_no)
    bench.is_ignored(end, bench.sending(end, message), seq_no, what)


@case("read-missing", Area.READING, "M-086")
def missing_keys_are_zero(bench: Bench) -> None:
    """A key that is missing has its zero value."""
    _understood(bench, b"", 0)


@case("read-unknown", Area.READING, "M-086")
def unknown_keys_are_skipped(bench: Bench) -> None:
    """Keys that nobody knows are skipped with their values, however these are nested."""
    nested = b"\x93\x01\x82\xa1a\xcb" + bytes(8) + b"\xa1b\x92\xc0\xc3\xd9\x03abc"
    _understood(bench, _text(b"Future") + nested + _text(b"node") + _text(b"case matters"), 2)


@case("read-any-order", Area.READING, "M-086")
def keys_come_in_any_order(bench: Bench) -> None:
    """Keys may come in any order, and the last of two alike counts."""
    end, seq_no = bench.stranger(), bench.new_ping().seq_no
    body = b"\x83" + _text(b"SeqNo") + b"\x07" + _text(b"Node") + _text(bench.name) + _text(b"SeqNo") + _u32(seq_no)
    message = bytes((MessageType.PING,)) + body
    bench.ask_raw(end, bench.sending(end, message), seq_no)


@case("read-array", Area.READING, "M-087")
def bodies_may_be_arrays(bench: Bench) -> None:
    """A body may be an array of the fields in the order in which Go declares them, shorter or longer than that."""
    end = bench.stranger()
    for rest, count in ((b"", 1), (_text(bench.name), 2), (_text(bench.name) + b"\xc0\x00\xa0\x2a\x91\x01", 7)):
        seq_no = bench.new_ping().seq_no
        message = bytes((MessageType.PING, 0x90 + count)) + _u32(seq_no) + rest
        bench.ask_raw(end, bench.sending(end, message), seq_no)


@case("read-nil", Area.READING, "M-088")
def a_body_may_be_nil(bench: Bench) -> None:
    """A nil body is a message whose fields are all zero: a ping without name, number 0."""
    end = bench.stranger()
    bench.ask_raw(end, bench.sending(end, b"\0\xc0"), 0)


@case("read-numbers", Area.READING, "M-083", "M-085")
def numbers_may_be_longer_than_needed(bench: Bench) -> None:
    """A number may come in any width, signed or unsigned, if it fits."""
    end = bench.stranger()
    for form in (b"\x2a", b"\xcc\x2a", b"\xcd\0\x2a", b"\xcf" + bytes(7) + b"\x2a", b"\xd0\x2a", b"\xd1\0\x2a",
                 b"\xd2\0\0\0\x2a", b"\xd3" + bytes(7) + b"\x2a"):  # fmt: skip
        message = bytes((MessageType.PING, 0x81)) + _text(b"SeqNo") + form
        bench.ask_raw(end, bench.sending(end, message), 42)


@case("read-bytes", Area.READING, "M-089")
def byte_strings_have_many_forms(bench: Bench) -> None:
    """Text may be str8, str16 or str32; byte strings bin as well, or an array of small numbers."""
    name = bench.name
    size = len(name)
    for form in (b"\xd9" + bytes((size,)), b"\xda" + size.to_bytes(2, "big"), b"\xdb" + size.to_bytes(4, "big")):
        _understood(bench, _text(b"Node") + form + name)
    for form in (b"\xc4\x04", b"\xc5\0\x04", b"\xc6\0\0\0\x04", b"\xd9\x04", b"\x94"):
        _understood(bench, _text(b"SourceAddr") + form + bytes((127, 0, 0, 1)))


@case("read-rest", Area.READING, "M-043")
def bytes_after_the_body_are_ignored(bench: Bench) -> None:
    """Bytes after the body of a message in a packet are ignored."""
    end, ping = bench.stranger(), bench.new_ping()
    message = ping.encode() + b"\xc1 more"
    bench.ask_raw(end, bench.sending(end, message), ping.seq_no)


@case("read-range", Area.READING, "M-091")
def numbers_out_of_range_are_refused(bench: Bench) -> None:
    """A port over 65535, a negative number and a fraction make the message unreadable."""
    for form, what in ((b"\xce\0\x01\0\0", "port 65536"), (b"\xff", "port -1"), (b"\xcb" + bytes(8), "port 0.0")):
        _refused(bench, _text(b"SourcePort") + form, f"a ping with {what}")


@case("read-types", Area.READING, "M-091", "M-044")
def values_of_other_types_are_refused(bench: Bench) -> None:
    """A number where text belongs, text where a number belongs, and a key that is a number make the message
    unreadable.
    """
    _refused(bench, _text(b"Node") + b"\x2a", "a ping with a number as a name")
    _refused(bench, _text(b"SourcePort") + _text(b"80"), "a ping with text as a port")
    _refused(bench, b"\x2a" + _text(b"x"), "a ping with a number as a key")
    _refused(bench, _text(b"Node") + b"\xc1", "a ping with a byte that means nothing")


@case("read-empty-key", Area.READING, "M-086", since=V2, severity=Severity.SHOULD)
def empty_keys_are_refused(bench: Bench) -> None:
    """An empty key makes the message unreadable."""
    _refused(bench, b"\xa0\x2a", "a ping with an empty key")


@case("read-cut", Area.READING, "M-044")
def cut_bodies_are_refused(bench: Bench) -> None:
    """A body that ends too early is dropped, wherever it ends."""
    end, ping = bench.stranger(), bench.new_ping()
    whole = ping.encode()
    for size in range(len(whole) - 1, 0, -1):
        bench.is_ignored(
            end,
            bench.sending(end, whole[:size]),
            ping.seq_no,
            f"a ping of {size} bytes instead of {len(whole)}",
        )


@case("read-nesting", Area.LIMITS, "M-094", since=V2)
def nesting_has_an_end(bench: Bench) -> None:
    """A value that nests 1022 levels deep is skipped; one of tens of thousands does no harm."""
    _understood(bench, _text(b"Deep") + b"\x91" * 1000 + b"\x2a")
    _refused(bench, _text(b"Deep") + b"\x91" * 30_000 + b"\x2a", "a ping with a value of 30 000 levels")


@case("read-announced", Area.LIMITS, "M-044", since=BEYOND)
def announced_sizes_cost_nothing(bench: Bench) -> None:
    """Sizes that are only announced, of strings, arrays and maps, do no harm."""
    huge = b"\xff\xff\xff\xff"
    for form in (b"\xdb", b"\xc6", b"\xdd", b"\xdf"):
        _refused(bench, _text(b"SourceAddr") + form + huge, f"a ping with a value {form.hex()} of 4 GiB")
        _refused(bench, _text(b"Future") + form + huge, f"a ping with an unknown value {form.hex()} of 4 GiB")


@case("read-large-packet", Area.LIMITS, "M-025")
def large_packets_are_read(bench: Bench) -> None:
    """Datagrams up to the largest that there are are read, whatever the node's own packets may have."""
    end, ping = bench.stranger(), bench.new_ping()
    filler = bytes((MessageType.USER, 0xFE)) + bytes(60_000)
    bench.ask_raw(end, bench.sending(end, compound([filler, ping.encode()])), ping.seq_no)
