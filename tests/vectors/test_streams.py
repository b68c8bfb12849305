"""Whole TCP requests: written, read and served as Go does."""

from __future__ import annotations

import random
from typing import Any

import pytest

from serfcompat.runtime.tcp import Gate, Sinks, serve
from serfcompat.swim.config import MemberlistConfig
from serfcompat.swim.effects import Emit
from serfcompat.swim.engine import Swim
from serfcompat.swim.events import RemoteStateReceived
from serfcompat.swim.pushpull import with_known_ports
from serfcompat.wire.address import Address
from serfcompat.wire.messages import ErrorReply, Ping, PushPullNode
from serfcompat.wire.stream import PushPull, StreamReader, label_header, push_pull_message, seal, user_message
from tests.vectors.layers import layers_of, nonce_of

Record = dict[str, Any]
BIND_PORT = 7946
PEER = Address(bytes((10, 0, 0, 9)), 1234)


class Stream:
    """An inbound connection whose peer writes `data` and then stops."""

    def __init__(self, data: bytes) -> None:
        self._left = data
        self.sent = b""

    def recv(self, size: int) -> bytes:
        piece, self._left = self._left[:size], self._left[size:]
        return piece

    def sendall(self, data: bytes) -> None:
        self.sent += data


def octets(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


def node_of(fields: Record) -> PushPullNode:
    return PushPullNode(
        bytes.fromhex(fields["Name"]),
        octets(fields["Addr"]),
        fields["Port"],
        octets(fields["Meta"]),
        fields["Incarnation"],
        fields["State"],
        octets(fields["Vsn"]),
    )


def message_of(record: Record) -> bytes:
    fields = record["fields"]
    match record["kind"]:
        case "pushPull":
            return push_pull_message(fields["Join"], list(map(node_of, fields["Nodes"])), octets(fields["UserState"]))
        case "user":
            return user_message(bytes.fromhex(fields["Payload"]))
        case "ping":
            return Ping(
                fields["SeqNo"],
                bytes.fromhex(fields["Node"]),
                octets(fields.get("SourceAddr")),
                fields.get("SourcePort", 0),
                bytes.fromhex(fields.get("SourceNode", "")),
            ).encode()
        case "errorReply":
            return ErrorReply(bytes.fromhex(fields["Error"])).encode()
        case kind:
            raise AssertionError(f"unknown kind {kind}")


def writes(record: Record) -> None:
    """Building the request gives the record's bytes."""
    layers = layers_of(record)
    header = b"" if record["kind"] == "errorReply" else label_header(layers.label)
    assert (header + seal(message_of(record), layers, lambda: nonce_of(record))).hex() == record["hex"]


def opened(record: Record) -> StreamReader:
    """A reader past the label header, if there has to be one."""
    stream = StreamReader(Stream(bytes.fromhex(record["hex"])).recv, layers_of(record))
    if record["kind"] != "errorReply":
        stream.read_label_header()
    return stream


@pytest.mark.vectors("streams", kind="pushPull")
@pytest.mark.statement("M-068")
def test_push_pulls_are_written_and_read(record):
    writes(record)
    stream, decoded = opened(record), record["decoded"]
    assert stream.read_type() == 6
    remote = stream.read_push_pull()
    nodes = with_known_ports(remote.nodes, bind_port=BIND_PORT, protocol=record["config"]["protocol_version"])
    assert PushPull(remote.join, list(nodes), remote.user_state) == PushPull(
        decoded["Join"], list(map(node_of, decoded["Nodes"])), octets(decoded["UserState"])
    )


@pytest.mark.vectors("streams", kind="user")
def test_user_messages_are_written_read_and_served(record):
    writes(record)
    stream = opened(record)
    assert stream.read_type() == 8
    assert stream.read_user_message().hex() == record["fields"]["Payload"]
    served(record)


@pytest.mark.vectors("streams", kind="ping")
def test_pings_are_written_read_and_served(record):
    writes(record)
    stream = opened(record)
    assert stream.read_type() == 0
    assert stream.read_ping().encode() == message_of(record)
    served(record)


@pytest.mark.vectors("streams", kind="errorReply")
def test_error_replies_are_written_and_read(record):
    writes(record)
    stream = opened(record)
    assert stream.read_type() == 13
    assert stream.read_error().error.hex() == record["fields"]["Error"]


@pytest.mark.vectors("streams", kind="serve")
def test_any_request_is_served(record):
    served(record)


class RecordingSwim(Swim):
    """An engine that was never started, so its node table is empty; remembers what it dropped."""

    def __init__(self, record: Record, **more: Any) -> None:
        config = record["config"]
        keys = [bytes.fromhex(key) for key in config["keys"]]
        super().__init__(
            MemberlistConfig(
                name="self",
                bind_port=BIND_PORT,
                label=bytes.fromhex(config["label"]),
                keyring=keys,
                enable_compression=config["compress"],
                protocol_version=config["protocol_version"],
                gossip_verify_incoming=config["verify_incoming"],
                gossip_verify_outgoing=config["verify_outgoing"],
                skip_inbound_label_check=config["skip_inbound_label_check"],
                **more,
            ),
            advertise=Address(bytes((127, 0, 0, 1)), BIND_PORT),
            dice=random.Random(0),
            nonce=lambda: bytes(12),
        )
        self.dropped: list[str] = []

    def drop(self, reason: str, source: Address) -> None:
        self.dropped.append(reason)


def served(record: Record) -> None:
    """A server does with the request what the record's `server` says."""
    expected = record["server"]
    engine, stream = RecordingSwim(record), Stream(bytes.fromhex(record["hex"]))
    reply = bytes.fromhex(expected["reply"])
    notified: list[str] = []
    merged: list[tuple[str, bool]] = []

    def merge(remote: PushPull, join: bool) -> None:
        for effect in engine.merge_remote_state(remote, join, 0):
            if isinstance(effect, Emit) and isinstance(effect.event, RemoteStateReceived):
                merged.append((effect.event.state.hex(), effect.event.join))

    sinks = Sinks(
        user_message=lambda payload: notified.append(payload.hex()),
        merge=merge,
        log_error=lambda text: None,
        log_warning=lambda text: None,
        nonce=lambda: reply[6:18],  # what Go drew
        count=lambda name, value: None,
        sample=lambda name, value: None,
    )
    serve(stream, PEER, engine, sinks, Gate())
    assert engine.dropped == expected["drops"]
    assert notified == expected["notify"]
    if "merged_user_state" in expected:
        assert merged == [(expected["merged_user_state"], expected["merged_join"])]
    else:
        assert not merged
    plain = bytes.fromhex(expected["reply_plain"])
    if plain[:1] == b"\x0d":  # the text is free
        assert bool(stream.sent) == bool(reply)
        answer = StreamReader(Stream(stream.sent).recv, engine.layers)
        assert answer.read_type() == 13
        assert answer.read_error().error
    else:
        assert stream.sent == reply
