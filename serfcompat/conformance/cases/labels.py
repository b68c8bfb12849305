"""Labels that keep clusters apart."""

from __future__ import annotations

import dataclasses

from serfcompat.conformance.bench import Bench
from serfcompat.conformance.case import Area, Broken, Need, case, expect
from serfcompat.conformance.cases.stream import closes_silently
from serfcompat.wire.label import MAGIC, header, split
from serfcompat.wire.messages import Ping
from serfcompat.wire.stream import push_pull_message


def _ignored(bench: Bench, label: bytes, what: str) -> None:
    """Broken if a ping or a push/pull with this label is answered."""
    end, ping = bench.stranger(), bench.new_ping()
    other = dataclasses.replace(bench.node.layers, label=label)
    bench.is_ignored(end, lambda: end.send(ping.encode(), bench.node.address, layers=other), ping.seq_no, what)
    with end.dial(bench.node.address, layers=other) as stream:
        stream.send(push_pull_message(False, (), None))
        closes_silently(bench, stream, what)


@case("label-unexpected", Area.LABEL, "M-027", "M-056", needs=[Need.NO_LABEL])
def a_label_is_not_expected(bench: Bench) -> None:
    """A node without a label ignores packets and streams with one."""
    _ignored(bench, b"kit-label", "a label where none is expected")


@case("label-malformed", Area.LABEL, "M-026")
def malformed_label_headers_are_dropped(bench: Bench) -> None:
    """A label header that is empty or cut off is dropped, and a stream with it is hung up on."""
    end = bench.stranger()
    ping = Ping(7, b"").encode()
    for head in (bytes((MAGIC,)), bytes((MAGIC, 0)), bytes((MAGIC, 0)) + ping, bytes((MAGIC, 255)) + ping):
        end.send_raw(head, bench.node.address)
        with end.dial(bench.node.address) as stream:
            stream.send_raw(head)
            stream.finish()
            closes_silently(bench, stream, f"the label header {head[:2].hex()} and {len(head) - 2} bytes")
    bench.lives("malformed label headers")
    expect(bench.find_ack(end, {7}, 0.1) is None, "no answer to what follows an empty label")


@case("label-expected", Area.LABEL, "M-012", "M-045", needs=[Need.LABEL], since="0.3.0")
def the_label_comes_first(bench: Bench) -> None:
    """A node with a label puts it before its packets; on streams only the dialer does."""
    end, ping = bench.stranger(), bench.new_ping()
    for _ in range(3):
        end.send(ping.encode(), bench.node.address)
        try:
            found, _ = split(end.receive_datagram(1.0))
        except TimeoutError:
            continue
        expect(found == bench.node.layers.label, f"label {bench.node.layers.label!r}", found)
        break
    else:
        raise Broken("an ack", "nothing came")
    with end.dial(bench.node.address) as stream:
        stream.send(push_pull_message(False, (), None))
        first = stream.receive_some()
    expect(first[:1] != bytes((MAGIC,)), "an answer on a stream without label", first[: len(header(found))])


@case("label-other", Area.LABEL, "M-027", "M-056", needs=[Need.LABEL], since="0.3.0")
def other_labels_are_ignored(bench: Bench) -> None:
    """A node with a label ignores packets and streams with another one, and with none."""
    own = bench.node.layers.label
    for label in (b"", own + b"x", own[:-1], own.swapcase()):
        if label != own:
            _ignored(bench, label, f"the label {label!r} where {own!r} is expected")


@case("label-authenticated", Area.LABEL, "M-013", "M-046", needs=[Need.LABEL, Need.KEY], since="0.3.0")
def the_label_is_authenticated(bench: Bench) -> None:
    """With a key, the label is authenticated with packets and streams, also with answers that don't show it."""
    bench.ask(bench.stranger())
    expect(bench.state().nodes, "a state whose frame authenticates the label")
