"""LZW, byte for byte as Go's, and safe against what no encoder writes."""

from __future__ import annotations

import hashlib
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serfcompat.errors import WireError
from serfcompat.wire.lzw import compress, decompress
from tests.wire import naive_lzw

LIMIT = 41_943_040

SMALL = {
    b"": "000302",
    b"a": "00c30404",
    b"a" * 40: "00c3081c48b0a0c18308090604",
    b"abc" * 8: "00c388192390e0c082080f2a1c1310",
    b"TOBEORNOTTOBEORTOBEORNOT": "00a93c1152e48914274fa80824687061c183090302",
}


def lcg(size: int) -> bytes:
    """The generator of spec memberlist A.5."""
    x, out = 1, bytearray()
    for _ in range(size):
        x = (1664525 * x + 1013904223) % 2**32
        out.append(x >> 24)
    return bytes(out)


DIGESTS = [
    (bytes(100_000), 530, "7a2b74e419500a3be5ff7cda6b8829a1eb730ccfee1d9e062be7a8ef00a0f6bf"),
    (bytes(i % 251 for i in range(65_536)), 12193, "5cfd4b4349dcc9bf5ef6b4c2202e38991cf225f54c38d46192ac9579f8ed306d"),
    (lcg(5000), 6711, "21103c01f03577623a9630a3c7ab4b4a7e1862f1626b09416b8865063b26dac2"),
    (lcg(100_000), 136_852, "b6c100a3b25d63d80476a691ef807fb6010dc0bc4dd5d59479e735fdd80ff2d3"),
    (lcg(255), 288, "827d5fbc84fd6cdc4567167b04254c87b639ff56eedb5030dbd2362b7d1303e5"),
    (lcg(256), 290, "be07326772242187b0dce1bc1693af68f6fb307443be21f5e10eaf9ee6989a9c"),
    (lcg(257), 291, "33e22437dc56c4847b41bd513a4f5b590d35822826ffe1a38aa82ba97578c63f"),
    (lcg(3837), 5240, "18f75359b8dd20a99c21b18232e90d2537eea668c19fb5c381966095dd9af564"),
    (lcg(3838), 5242, "c7ab4c95cccbe72d7620704c0147503ec7a458aa744c02b59c4f7f8d36870123"),
    (lcg(3839), 5243, "7cd2a6643cbf63e062f8f73984190e3e3c43d6439f5f07dc0de119ef2728d11f"),
    (lcg(3840), 5245, "6ec431aeba9541476ac8502195becc7498f2a4aea7dcfea658796952e51f821a"),
    (lcg(4095), 5568, "080df66fdc327f1286bc7b51ecf321dcf662d4405c208e5e2f0eed8fc26694c1"),
    (lcg(4096), 5569, "5df70935d1966ca8d8fb0e8b0a3bb6a4d5c4000ec3e638e315f8888bba86d540"),
]


@pytest.mark.statement("M-096")
@pytest.mark.parametrize(("data", "expected"), SMALL.items())
def test_small_inputs_give_the_bytes_that_go_printed(data, expected):
    assert compress(data).hex() == expected
    assert decompress(bytes.fromhex(expected), LIMIT) == data


@pytest.mark.statement("M-097")
@pytest.mark.parametrize(("data", "size", "digest"), DIGESTS)
def test_full_tables_and_final_codes_give_the_bytes_that_go_printed(data, size, digest):
    packed = compress(data)
    assert (len(packed), hashlib.sha256(packed).hexdigest()) == (size, digest)
    assert decompress(packed, LIMIT) == data


@pytest.mark.statement("M-098")
@pytest.mark.parametrize("packed", ["", "00", "00c3", "00c304"])
def test_data_without_an_end_code_is_truncated(packed):
    with pytest.raises(WireError, match="truncated"):
        decompress(bytes.fromhex(packed), LIMIT)


@pytest.mark.statement("M-098")
def test_bytes_after_the_end_code_are_ignored():
    assert decompress(bytes.fromhex("00c30404ffff"), LIMIT) == b"a"


@pytest.mark.statement("M-099")
def test_a_stream_may_begin_without_a_clear():
    assert decompress(naive_lzw.pack([(97, 9), (257, 9)]), LIMIT) == b"a"


@pytest.mark.statement("M-099")
@pytest.mark.parametrize("codes", [[258], [256, 258], [256, 300], [97, 259], [97, 256, 258], [97, 98, 260]])
def test_a_code_that_is_not_known_yet_is_invalid(codes):
    with pytest.raises(WireError, match="invalid_code"):
        decompress(naive_lzw.pack(naive_lzw.with_widths([*codes, 257])), LIMIT)


@pytest.mark.statement("M-099")
def test_a_code_may_be_the_one_that_it_completes():
    assert decompress(naive_lzw.pack(naive_lzw.with_widths([256, 97, 258, 259, 257])), LIMIT) == b"a" * 6


@pytest.mark.statement("M-100")
def test_a_full_table_stays_in_use_until_somebody_clears_it():
    data = lcg(20_000) + bytes(5000) + lcg(5000)
    assert hashlib.sha256(data).hexdigest() == "73972cdc952f4de8c19cf105d614c15ec20638cf86b285866b6fd52661f06cdb"
    assert decompress(naive_lzw.encode(data, clears=False), LIMIT) == data


@pytest.mark.statement("M-100")
def test_a_clear_ends_a_full_table():
    codes = [*codes_that_fill_the_table(), 4095, 65, 256, 66, 258, 257]
    data = decompress(naive_lzw.pack(naive_lzw.with_widths(codes)), LIMIT)
    assert data == naive_lzw.decode(naive_lzw.pack(naive_lzw.with_widths(codes)))
    assert data.endswith(b"ABBB")


def codes_that_fill_the_table() -> list[int]:
    """A clear, and codes that stand for 1, 2, 3 … 3839 equal bytes."""
    return [256, 97, *range(258, 4096)]


def bomb(size: int) -> bytes:
    """`size` equal bytes, from about as little input as can be."""
    codes, run = [256], 1
    while run <= size:
        codes.append(97 if run == 1 else 256 + run)
        size -= run
        run += 1
        if run == 3840:
            codes.append(256)
            run = 1
    return naive_lzw.pack(naive_lzw.with_widths([*codes, *[97] * size, 257]))


@pytest.mark.statement("M-102")
def test_forty_mebibytes_are_accepted_and_one_byte_more_is_not():
    assert decompress(bomb(LIMIT), LIMIT) == b"a" * LIMIT
    with pytest.raises(WireError, match="decompress_limit"):
        decompress(bomb(LIMIT + 1), LIMIT)


def test_a_bomb_costs_no_more_memory_than_the_limit():
    packed = bomb(LIMIT)
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match="decompress_limit"):
            decompress(packed, 100_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000  # the string table, some pieces, and what was within the limit


def test_clears_all_over_are_read_at_the_right_width():
    for before in (0, 1, 2, 253, 254, 255, 256, 511, 766, 767, 1790, 3838, 3839, 4000):
        codes = [256, 256, *[65 + i % 7 for i in range(before)], 256, 66, 67, 256, 256, 68, 258, 257]
        packed = naive_lzw.pack(naive_lzw.with_widths(codes))
        assert decompress(packed, LIMIT) == naive_lzw.decode(packed)


@pytest.mark.property
@settings(max_examples=60)
@given(st.one_of(st.binary(max_size=3000), st.lists(st.sampled_from(b"ab"), max_size=4000).map(bytes)))
def test_compression_is_the_one_of_the_specification_and_is_undone(data):
    packed = compress(data)
    assert packed == naive_lzw.encode(data)
    assert decompress(packed, len(data)) == data


@pytest.mark.property
@pytest.mark.parametrize("size", [*range(253, 258), *range(3836, 3842), 7675, 7676, 7677])
def test_sizes_around_each_change_of_width_are_undone(size):
    data = lcg(size)
    assert compress(data) == naive_lzw.encode(data)
    assert decompress(compress(data), size) == data


@pytest.mark.statement("M-097")
@pytest.mark.parametrize("size", [3837, 3838, 3839, 7675, 7676, 7677])
def test_a_table_that_the_last_code_fills_is_cleared_before_the_end(size):
    # All pairs of neighbours differ, so that each byte is a code, and 3838 of them fill the table.
    data = bytes(x for a in range(256) for b in range(a + 1, 256) for x in (a, b))[:size]
    assert compress(data) == naive_lzw.encode(data)
    assert decompress(compress(data), size) == data


def pack_what_fits(codes: list[int]) -> bytes:
    return naive_lzw.pack([(code & (1 << width) - 1, width) for code, width in naive_lzw.with_widths(codes)])


CODES = st.one_of(st.integers(0, 255), st.integers(256, 300), st.just(256), st.integers(0, 4095))


@pytest.mark.property
@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=400), st.lists(CODES, max_size=600).map(pack_what_fits)))
def test_any_input_gives_what_the_specification_says_or_a_wire_error(packed):
    def outcome(decode, *limit):
        try:
            return decode(packed, *limit)
        except (ValueError, WireError) as error:
            return getattr(error, "reason", str(error))

    assert outcome(decompress, LIMIT) == outcome(naive_lzw.decode)
