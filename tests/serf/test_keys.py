"""Key rotation, on the node that is asked."""

import base64
import json
import logging

import pytest

from serfcompat.serf.effects import WriteKeyring
from serfcompat.serf.keys import fit_key_list, keyring_file
from serfcompat.swim.effects import SendPacket
from serfcompat.wire.packet import peel
from serfcompat.wire.serf_messages import KeyRequest, KeyResponse, QueryMessage, QueryResponse

from .nodes import Node

ONE, TWO, THREE = b"0123456789abcdef", b"fedcba9876543210", b"x" * 32
OPERATIONS = ("install-key", "use-key", "remove-key", "list-keys")


def node_with(*keys, **config):
    return Node("n2", secret_key=keys[0], keyring=keys, **config) if keys else Node("n2", **config)


def ask(node, operation, key=b"", **payload):
    request = payload.get("payload", KeyRequest(key).encode())
    node.forget()
    ltime = node.core.query_clock.time
    node.hear(
        QueryMessage(
            ltime, 9, b"\x0a\x00\x00\x02", 7946, b"b", None, 0, 0, 10**9, b"_serf_" + operation.encode(), request
        )
    )


def reply(node):
    [packet] = node.of(SendPacket)
    [message] = peel(packet.data, node.engine.layers).messages
    response = KeyResponse.decode(QueryResponse.decode(message[2:]).payload[1:])
    return response.result, response.message.decode(), response.keys, response.primary_key


DONE = (True, "", None, b"")


@pytest.mark.statement("S-151")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_without_encryption_there_is_nothing_to_change(operation, caplog):
    node = node_with()
    ask(node, operation, ONE)
    why = "Keyring is empty" if operation == "list-keys" else "No keyring to modify"
    assert reply(node) == (False, f"{why} (encryption not enabled)", None, b"")
    assert f"serf: {why} (encryption not enabled)" in caplog.messages


@pytest.mark.statement("S-152")
def test_a_key_of_a_strange_size_is_refused(caplog):
    node = node_with(ONE)
    ask(node, "install-key", b"abc")
    assert reply(node) == (False, "key size must be 16, 24 or 32 bytes", None, b"")
    assert "serf: Failed to install key: key size must be 16, 24 or 32 bytes" in caplog.messages


@pytest.mark.statement("S-153")
def test_only_a_known_key_can_be_used_and_the_used_one_not_removed(caplog):
    node = node_with(ONE, TWO)
    ask(node, "use-key", THREE)
    assert reply(node)[:2] == (False, "requested key is not in the keyring")
    ask(node, "remove-key", ONE)
    assert reply(node)[:2] == (False, "removing the primary key is not allowed")
    assert [m for m in caplog.messages if "Failed" in m] == [
        "serf: Failed to change primary key: requested key is not in the keyring",
        "serf: Failed to remove key: removing the primary key is not allowed",
    ]


@pytest.mark.statement("S-154")
def test_installing_a_known_key_and_removing_an_unknown_one_succeed():
    node = node_with(ONE, TWO)
    ask(node, "install-key", TWO)
    assert reply(node) == DONE
    ask(node, "remove-key", THREE)
    assert reply(node) == DONE
    assert list(node.core.swim.keyring) == [ONE, TWO]


def test_a_rotation(caplog):
    caplog.set_level(logging.INFO)
    node = node_with(ONE)
    for operation, key, ring in (
        ("install-key", TWO, [ONE, TWO]),
        ("use-key", TWO, [TWO, ONE]),
        ("remove-key", ONE, [TWO]),
    ):
        ask(node, operation, key)
        assert reply(node) == DONE
        assert list(node.core.swim.keyring) == ring
        assert caplog.messages[-1] == f"serf: Received {operation} query"
    assert ONE.decode() not in caplog.text
    assert base64.b64encode(TWO).decode() not in caplog.text


@pytest.mark.statement("S-162")
@pytest.mark.parametrize("payload", [None, b"", b"\x07\xff"])
def test_a_request_that_cannot_be_read_gets_an_empty_failure(payload, caplog):  # defect D-2
    node = node_with(ONE)
    ask(node, "install-key", payload=payload)
    assert reply(node) == (False, "", None, b"")
    assert caplog.messages[0].startswith("serf: Failed to decode key request: ")


def test_the_type_byte_of_a_request_is_not_looked_at():
    node = node_with(ONE)
    ask(node, "install-key", payload=b"\xee" + KeyRequest(TWO).encode()[1:])
    assert reply(node) == DONE


def test_all_keys_are_listed_the_primary_first():
    node = node_with(TWO, ONE)
    ask(node, "list-keys", payload=b"not read")
    encoded = [base64.b64encode(key) for key in (TWO, ONE)]
    assert reply(node) == (True, "", encoded, encoded[0])


def test_the_reply_waits_for_the_keyring_file():
    node = node_with(ONE, keyring_file="/keyring")
    ask(node, "install-key", TWO)
    [write] = node.effects
    assert write == WriteKeyring(keyring_file([ONE, TWO]), write.request)
    node.did(node.engine.on_keyring_written(write.request, None, 0))
    assert reply(node) == DONE


def test_a_file_that_cannot_be_written_is_reported_and_the_change_stays(caplog):
    node = node_with(ONE, keyring_file="/keyring")
    ask(node, "install-key", TWO)
    [write] = node.effects
    node.did(node.engine.on_keyring_written(write.request, "open /keyring: permission denied", 0))
    why = "Failed to write keyring file: open /keyring: permission denied"
    assert reply(node) == (False, why, None, b"")
    assert f"serf: {why}" in caplog.messages
    assert list(node.core.swim.keyring) == [ONE, TWO]


@pytest.mark.statement("S-159")
def test_the_keyring_file_is_upstreams():
    assert keyring_file([TWO, ONE]) == (
        b'[\n  "ZmVkY2JhOTg3NjU0MzIxMA==",\n  "MDEyMzQ1Njc4OWFiY2RlZg=="\n]'  # spec serf §7.4
    )
    assert json.loads(keyring_file([ONE])) == [base64.b64encode(ONE).decode()]


@pytest.mark.statement("S-160", "S-161")
@pytest.mark.parametrize(
    ("total", "listed", "size"),
    [(1, 1, 121), (18, 18, 922), (19, 19, 969), (38, 18, 980), (40, 18, 980), (50, 18, 980)],
)
def test_a_list_that_is_too_long_is_cut(total, listed, size):
    keys = [b"k" * 44] * total
    encoded, message = fit_key_list(keys, b"", lambda body: QueryResponse(0, 0, b"", 0, body), 1024)
    response = KeyResponse.decode(QueryResponse.decode(encoded[1:]).payload[1:])
    assert len(encoded) == size
    assert len(response.keys) == listed
    assert response.result
    cut = f"truncated key list response, showing first {listed} of {total} keys" if listed < total else ""
    assert (message, response.message.decode()) == (cut, cut)


def test_a_list_may_fill_its_response_to_the_last_byte():
    encoded, message = fit_key_list([b"k" * 44], b"", lambda body: QueryResponse(0, 0, b"", 0, body), 121)
    assert (len(encoded), message) == (121, "")


def test_a_cut_list_is_warned_of_and_one_that_never_fits_is_an_error(caplog):
    keys = [bytes((number,)) * 32 for number in range(30)]
    node = node_with(*keys)
    ask(node, "list-keys")
    assert len(reply(node)[2]) == 17
    assert caplog.messages == ["serf: truncated key list response, showing first 17 of 30 keys"]
    node = node_with(*keys, query_response_size_limit=50)
    ask(node, "list-keys")
    assert node.effects == []
    assert caplog.messages[1:] == ["serf: Failed to truncate response so that it fits into message"]


def test_a_list_that_never_fits_is_not_sent():
    assert fit_key_list([b"k" * 44] * 3, b"", lambda body: QueryResponse(0, 0, b"n" * 900, 0, body), 900) is None
