"""References to answers that are fetched over a stream."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.errors import WireError
from serfcompat.wire.large_answer import DIGEST_SIZE, MAX_ANSWER, Fetch, Reference


@given(st.binary(min_size=DIGEST_SIZE, max_size=DIGEST_SIZE), st.integers(0, MAX_ANSWER))
def test_a_reference_survives_its_text(digest, size):
    reference = Reference(digest, size)
    assert Reference.parse(reference.encode()) == reference
    assert len(reference.encode()) < 150


@pytest.mark.parametrize(
    "payload",
    [
        None,
        b"",
        b"an ordinary answer",
        b"serfcompat-large-answer sha256=00 size=1",
        Reference(b"d" * 32, MAX_ANSWER + 1).encode(),
        Reference(b"d" * 32, 1).encode() + b"\n",
        b" " + Reference(b"d" * 32, 1).encode(),
    ],
)
def test_all_else_is_an_ordinary_answer(payload):
    assert Reference.parse(payload) is None


@given(st.binary(max_size=64), st.integers(0, MAX_ANSWER))
def test_a_fetch_survives_its_bytes(digest, offset):
    encoded = Fetch(digest, offset).encode()
    assert Fetch.decode(encoded[1:]) == Fetch(digest, offset)


@given(st.binary(max_size=80))
def test_what_is_no_fetch_raises_nothing_else(data):
    with contextlib.suppress(WireError):
        Fetch.decode(data)
