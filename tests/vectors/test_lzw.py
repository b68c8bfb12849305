"""LZW as Go's encoder writes and its decoder reads it."""

from __future__ import annotations

import pytest

from serfcompat.errors import WireError
from serfcompat.wire.lzw import compress, decompress
from serfcompat.wire.types import MAX_DECOMPRESSED


@pytest.mark.vectors("lzw", kind="encode")
def test_compresses_to_the_bytes_that_go_printed(record):
    payload = bytes.fromhex(record["payload"])
    assert compress(payload).hex() == record["lzw"]
    assert decompress(bytes.fromhex(record["lzw"]), len(payload)) == payload


@pytest.mark.vectors("lzw", kind="decode")
def test_decompresses_what_go_decompresses(record):
    assert decompress(bytes.fromhex(record["lzw"]), MAX_DECOMPRESSED).hex() == record["payload"]


@pytest.mark.vectors("lzw", kind="reject")
def test_refuses_what_go_refuses(record):
    with pytest.raises(WireError) as caught:
        decompress(bytes.fromhex(record["lzw"]), MAX_DECOMPRESSED)
    assert caught.value.reason == record["error"]
