"""When compressing can't help, nobody tries; what is sent again need not be compressed again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.errors import WireError
from serfcompat.wire import compress
from serfcompat.wire.messages import Compress

PAYLOADS = st.one_of(
    st.binary(max_size=300), st.text("ab", max_size=300).map(str.encode), st.integers(0, 300).map(bytes)
)


@pytest.mark.property
@given(PAYLOADS)
def test_what_would_get_shorter_is_never_left_out(payload):
    if len(compress.wrap(payload)) < len(payload):
        assert compress.may_shrink(payload)


@pytest.mark.parametrize(
    ("payload", "may"), [(bytes(range(200)), False), (b"", False), (bytes(200), True), (b"abc" * 30, True)]
)
def test_pairs_that_come_again_decide(payload, may):
    assert compress.may_shrink(payload) is may


def test_long_payloads_are_always_tried():
    assert compress.may_shrink(bytes(range(256)) * 9)


@pytest.mark.property
@given(PAYLOADS, st.sampled_from([1, 20]))
def test_a_message_reads_back_whether_it_was_kept_or_not(payload, times):
    for _ in range(2):
        message = compress.wrap(payload * times)
        assert compress.unwrap(Compress.decode(message[1:]), 1 << 20) == payload * times


@pytest.mark.property
@given(PAYLOADS)
def test_the_shorter_one_is_sent(payload):
    message = compress.wrap(payload)
    assert compress.shorter(payload) == (message if len(message) < len(payload) else None)


def test_what_was_kept_still_has_to_fit():
    message = Compress.decode(compress.wrap(bytes(500))[1:])
    assert compress.unwrap(message, 500) == bytes(500)
    with pytest.raises(WireError) as error:
        compress.unwrap(message, 499)
    assert error.value.reason == "decompress_limit"


def test_a_small_message_may_hold_more_than_is_kept():
    message = Compress.decode(compress.wrap(bytes(100_000))[1:])
    assert compress.unwrap(message, 100_000) == bytes(100_000)
