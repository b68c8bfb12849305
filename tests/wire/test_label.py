"""Label headers, and which label a node accepts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.errors import WireError
from serfcompat.wire.label import check, header, split
from serfcompat.wire.layers import Layers, label_overhead


@pytest.mark.statement("M-012")
def test_the_header_is_the_magic_byte_the_length_and_the_label():
    assert header(b"blue").hex() == "f404626c7565"
    assert header(b"") == b""


@pytest.mark.statement("M-026")
@pytest.mark.parametrize("packet", ["f4", "f400", "f40061", "f40461", "f404626c75", "f4ff" + "61" * 254])
def test_an_empty_or_cut_label_is_malformed(packet):
    with pytest.raises(WireError, match="label_malformed"):
        split(bytes.fromhex(packet))


@pytest.mark.statement("M-026")
def test_a_whole_label_comes_off():
    assert split(bytes.fromhex("f404626c7565")) == (b"blue", b"")
    assert split(bytes.fromhex("f4040000000000f4")) == (bytes(4), b"\0\xf4")
    assert split(b"") == (b"", b"")
    assert split(b"\0\xf4") == (b"", b"\0\xf4")


@pytest.mark.statement("M-027")
@pytest.mark.parametrize(
    ("ours", "found"), [(b"", b"blue"), (b"blue", b""), (b"blue", b"Blue"), (b"blue", b"blu"), (b"\xff", b"\xfe")]
)
def test_only_the_same_bytes_are_the_same_label(ours, found):
    check(ours, Layers(label=ours))
    with pytest.raises(WireError, match="label_mismatch"):
        check(found, Layers(label=ours))


@pytest.mark.statement("M-028")
@pytest.mark.parametrize("ours", [b"", b"blue"])
def test_with_the_check_skipped_no_label_at_all_may_be_left(ours):
    layers = Layers(label=ours, skip_inbound_label_check=True)
    check(b"", layers)
    for found in (b"blue", b"red"):
        with pytest.raises(WireError, match="label_double"):
            check(found, layers)


@pytest.mark.property
@given(st.binary(max_size=255), st.binary(max_size=50))
def test_what_is_put_on_comes_off(label, rest):
    if label or not rest.startswith(b"\xf4"):
        assert split(header(label) + rest) == (label, rest)
    assert len(header(label)) == label_overhead(label)


@pytest.mark.property
@given(st.binary(max_size=300).map(lambda rest: b"\xf4" + rest))
def test_any_bytes_split_or_are_malformed(packet):
    if len(packet) < 2 or packet[1] == 0 or len(packet) < 2 + packet[1]:
        with pytest.raises(WireError, match="label_malformed"):
            split(packet)
    else:
        label, rest = split(packet)
        assert header(label) + rest == packet
