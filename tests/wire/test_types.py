"""Numbers that peers rely on."""

from __future__ import annotations

import pytest

from serfcompat.wire import types
from serfcompat.wire.types import FilterType, MessageType, QueryFlag, SerfMessageType


def test_memberlist_type_numbers_are_those_of_the_wire() -> None:
    *numbered, own, label = MessageType
    names = "PING INDIRECT_PING ACK SUSPECT ALIVE DEAD PUSH_PULL COMPOUND USER COMPRESS ENCRYPT NACK CRC ERROR"
    assert " ".join(kind.name for kind in numbered) == names
    assert numbered == list(range(14))
    assert own is MessageType.FETCH  # ours, far from memberlist's
    assert own == 229
    assert label is MessageType.LABEL
    assert label == 0xF4


def test_serf_type_numbers_are_those_of_the_wire() -> None:
    names = "LEAVE JOIN PUSH_PULL USER_EVENT QUERY QUERY_RESPONSE CONFLICT_RESPONSE KEY_REQUEST KEY_RESPONSE RELAY"
    assert " ".join(kind.name for kind in SerfMessageType) == names
    assert list(SerfMessageType) == list(range(10))


def test_flags_and_filters() -> None:
    assert (QueryFlag.ACK, QueryFlag.NO_BROADCAST) == (1, 2)
    assert (FilterType.NODE, FilterType.TAG) == (0, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_PARTS", 255),
        ("MAX_DECOMPRESSED", 41_943_040),
        ("MAX_FRAME", 20_971_520),
        ("WARN_FRAME", 12_582_912),
        ("MAX_PUSH_PULL_NODES", 1_048_576),
        ("MAX_USER_STATE", 20_971_520),
        ("MAX_USER_MSG", 20_971_520),
        ("MAX_NESTING", 1023),
    ],
)
def test_limits_are_those_of_the_specification(name: str, value: int) -> None:
    assert getattr(types, name) == value
