"""Whole datagrams, built and peeled as Go does."""

from __future__ import annotations

import pytest

from serfcompat.wire.packet import build, compounds, peel
from tests.vectors.layers import layers_of, nonce_of


@pytest.mark.vectors("packets")
def test_peels_to_the_messages_and_drops_that_go_found(record):
    peeled = peel(bytes.fromhex(record["hex"]), layers_of(record))
    assert [message.hex() for message in peeled.messages] == record["messages"]
    assert peeled.unsupported == record["unsupported"]
    assert peeled.drops == record["drops"]


@pytest.mark.vectors("packets", kind="send")
def test_builds_the_datagram_that_go_sent(record):
    messages = [bytes.fromhex(message) for message in record["send_messages"]]
    (payload,) = compounds(messages) if record["compound"] else messages
    datagram = build(payload, layers_of(record), crc=record["crc"], nonce=lambda: nonce_of(record))
    assert datagram.hex() == record["hex"]
