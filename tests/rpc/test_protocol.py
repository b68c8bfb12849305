"""Requests and headers against bytes that a Go agent read, and everything else that it would read."""

import contextlib
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.errors import WireError
from serfcompat.rpc import codec, protocol
from serfcompat.rpc.protocol import REQUESTS, ReplyHeader, RequestHeader
from tests.rpc.exchanges import EXCHANGES

NOTHING_BEFORE = RequestHeader()


def decode(request):
    header = RequestHeader.decode(codec.unpack(request[0]), NOTHING_BEFORE)
    body = codec.unpack(request[1]) if len(request) > 1 else None
    return header, REQUESTS[header.command].decode(body)


KNOWN = [exchange for exchange in EXCHANGES.values() if exchange.request and exchange.id != "unknown command"]


@pytest.mark.parametrize("exchange", KNOWN, ids=lambda exchange: exchange.id)
def test_request_encodes_to_the_bytes_that_go_answered(exchange):
    header, request = decode(exchange.request)
    encoded = request.encode_with(header.seq)
    if exchange.id == "query internal prefix":  # captured from a client that left the optional keys out
        assert decode([encoded[: len(exchange.request[0])], encoded[len(exchange.request[0]) :]]) == (header, request)
    elif exchange.id.startswith("query"):  # Go sends a nil slice of nodes as nil
        assert encoded.replace(b"FilterNodes\x90", b"FilterNodes\xc0") == b"".join(exchange.request)
    else:
        assert encoded == b"".join(exchange.request)


def test_commands_without_a_body_send_none():
    for command in ("members", "stats", "list-keys", "leave"):
        assert REQUESTS[command]().encode_with(1) == RequestHeader(command, 1).encode()


def test_all_twenty_commands_are_known_and_one_of_our_own():
    assert len(REQUESTS) == 21
    assert "tagged-event" in REQUESTS


@pytest.mark.statement("A-205")
@pytest.mark.parametrize("seq", [0, 1, 2**32, 2**64 - 1])
def test_any_sequence_number_survives(seq):
    header = RequestHeader.decode(codec.unpack(RequestHeader("stats", seq).encode()), NOTHING_BEFORE)
    assert codec.unpack(ReplyHeader(header.seq).encode()) == {"Error": "", "Seq": seq}


def test_keys_that_a_header_lacks_repeat_the_header_before():
    before = RequestHeader("members", 7)
    assert RequestHeader.decode({}, before) == before
    assert RequestHeader.decode({"Seq": 8}, before) == RequestHeader("members", 8)
    assert RequestHeader.decode(("stats",), before) == RequestHeader("stats", 7)
    assert RequestHeader.decode(None, before) == RequestHeader("", 0)


@pytest.mark.statement("A-206", "A-207", "A-208", "A-209")
def test_bodies_are_read_as_liberally_as_go_reads_them():
    event = protocol.EventRequest
    whole = event("deploy", b"v1", True)
    assert event.decode({"Payload": b"v1", "Name": "deploy", "Coalesce": True, "Extra": {"x": (1,)}}) == whole
    assert event.decode({"Name": "deploy"}) == event("deploy", None, False)
    assert event.decode({}) == event()
    assert event.decode({"name": "deploy", "NAME": "x"}) == event()
    assert event.decode(("deploy", b"v1", True)) == whole
    assert event.decode(("deploy", b"v1", True, "more")) == whole
    assert event.decode({b"Name": b"deploy", b"Payload": b"v1", b"Coalesce": 1}) == whole
    assert event.decode(None) == event()


@pytest.mark.statement("A-210")
@pytest.mark.parametrize(("sent", "read"), [("abc", b"abc"), (b"abc", b"abc"), (None, None), (b"", b"")])
def test_a_payload_may_be_text_binary_or_nothing(sent, read):
    assert protocol.EventRequest.decode({"Payload": sent}).payload == read


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("event", {"Name": 5}),
        ("event", {"Coalesce": "yes"}),
        ("event", "deploy"),
        ("event", {7: "x"}),
        ("stop", {"Stop": -1}),
        ("query", {"RelayFactor": 256}),
        ("query", {"Timeout": 1.5}),
        ("handshake", {"Version": 2**31}),
        ("join", {"Existing": "127.0.0.1"}),
    ],
)
def test_bodies_that_go_refuses_are_refused(command, body):
    with pytest.raises(WireError):
        REQUESTS[command].decode(body)


def test_durations_and_identifiers_keep_all_their_bits():
    assert protocol.QueryRequest.decode({"Timeout": -(2**63)}).timeout_ns == -(2**63)
    assert protocol.RespondRequest.decode({"ID": 2**64 - 1}).id == 2**64 - 1


def test_secrets_do_not_show():
    assert "sesame" not in repr(protocol.AuthRequest("sesame"))
    assert "sesame" not in repr(protocol.InstallKeyRequest("sesame"))


def test_absent_payloads_go_out_as_nil():
    assert codec.pack("Payload") + b"\xc0" in protocol.EventRequest("x").encode()
    assert codec.pack("Payload") + b"\xc4\x00" in protocol.EventRequest("x", b"").encode()


@pytest.mark.property
@given(st.sampled_from(sorted(REQUESTS)), st.binary(max_size=120))
def test_no_body_raises_anything_but_wire_errors(command, data):
    with contextlib.suppress(WireError):
        REQUESTS[command].decode(codec.unpack(data))


@pytest.mark.property
@given(st.builds(protocol.QueryRequest, timeout_ns=st.integers(-(2**63), 2**63 - 1), payload=st.none() | st.binary()))
def test_requests_survive_the_way_there(request_):
    request_ = dataclasses.replace(request_, filter_nodes=tuple(request_.filter_nodes))
    assert protocol.QueryRequest.decode(codec.unpack(request_.encode())) == request_
