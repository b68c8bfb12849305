"""The encryption envelope: golden bytes, and every way in which it must not open."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.errors import WireError
from serfcompat.wire.aead import Aead, with_cryptography, with_pycryptodome
from serfcompat.wire.layers import encryption_overhead
from serfcompat.wire.security import decrypt, encrypt, sealed_size

KEY = bytes(range(16))
KEY32 = bytes(range(32))
OTHER = bytes(range(100, 116))
NONCE = bytes(range(12))
HELLO = bytes.fromhex("0868656c6c6f")

GOLDEN = {
    # version, key, plaintext, aad: bytes
    "GV-22": (1, KEY, HELLO, b"", "01000102030405060708090a0b9b04c2a20a742981b7dcc6c63a32f64c94cb022f23e1"),
    "GV-23": (
        0, KEY, HELLO, b"",
        "00000102030405060708090a0b9b04c2a20a74fd5e41d86b803ca97a02f1aba14d14a4af347ed9735b4145ee25",
    ),
    "GV-24": (
        0, KEY, b"\x08hello0123456789", b"",
        "00000102030405060708090a0b9b04c2a20a74c76579e155bf00944831a3360af643fdede6f631e13d0454b27cfffde773d973767582b8"
        "e366888a871b",
    ),
    "GV-25": (1, KEY32, HELLO, b"", "01000102030405060708090a0b4f6ab377a98a5947dfb26009589a6efe5552d70fbe90"),
    "GV-26": (1, KEY, HELLO, b"blue", "01000102030405060708090a0b9b04c2a20a74901ad86ae5512530f650b38372eaa44c"),
}  # fmt: skip


@pytest.mark.statement("M-107", "M-108")
@pytest.mark.parametrize(("version", "key", "plaintext", "aad", "envelope"), GOLDEN.values(), ids=GOLDEN)
def test_envelopes_are_the_bytes_that_go_printed(version, key, plaintext, aad, envelope):
    assert encrypt(version, key, NONCE, plaintext, aad).hex() == envelope
    assert decrypt([key], bytes.fromhex(envelope), aad) == plaintext


@pytest.mark.statement("M-104")
@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("version", [0, 1])
def test_each_key_size_seals_and_opens(size, version):
    key = bytes(range(size))
    assert decrypt([key], encrypt(version, key, NONCE, b"hello", b""), b"") == b"hello"


@pytest.mark.statement("M-108")
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 32, 33])
def test_version_0_always_pads_even_whole_blocks(size):
    envelope = encrypt(0, KEY, NONCE, b"x" * size, b"")
    assert len(envelope) == 1 + 12 + (size // 16 + 1) * 16 + 16 == sealed_size(0, size)
    assert decrypt([KEY], envelope, b"") == b"x" * size


@pytest.mark.statement("M-016")
def test_overheads_for_budgets_bound_what_an_envelope_adds():
    assert (encryption_overhead(0), encryption_overhead(1)) == (45, 29)
    for size in range(40):
        assert 30 <= len(encrypt(0, KEY, NONCE, b"x" * size, b"")) - size <= 45
        assert len(encrypt(1, KEY, NONCE, b"x" * size, b"")) - size == 29 == sealed_size(1, size) - size


@pytest.mark.statement("M-106")
def test_every_key_is_tried_in_order():
    envelope = encrypt(1, KEY, NONCE, b"hello", b"")
    assert decrypt([OTHER, bytes(32), KEY], envelope, b"") == b"hello"
    assert decrypt([KEY, OTHER], envelope, b"") == b"hello"
    with pytest.raises(WireError, match="no_key"):
        decrypt([OTHER, bytes(32)], envelope, b"")
    with pytest.raises(WireError, match="no_key"):
        decrypt([], envelope, b"")


@pytest.mark.statement("M-109")
@pytest.mark.parametrize(("version", "least"), [(0, 45), (1, 29)])
def test_what_is_shorter_than_an_envelope_is_refused(version, least):
    for size in range(1, least):
        with pytest.raises(WireError, match="enc_short"):
            decrypt([KEY], bytes((version,)) + bytes(size - 1), b"")
    with pytest.raises(WireError, match="no_key"):
        decrypt([KEY], bytes((version,)) + bytes(least - 1), b"")
    with pytest.raises(WireError, match="enc_short"):
        decrypt([KEY], b"", b"")


@pytest.mark.statement("M-109")
@pytest.mark.parametrize("version", [2, 3, 7, 128, 255])
@pytest.mark.parametrize("size", [0, 10, 100])
def test_versions_of_the_future_are_refused_whatever_their_length(version, size):
    with pytest.raises(WireError, match="enc_version"):
        decrypt([KEY], bytes((version,)) + bytes(size), b"")


@pytest.mark.statement("M-110")
@pytest.mark.parametrize("version", [0, 1])
def test_any_changed_bit_after_the_version_fails(version):
    envelope = encrypt(version, KEY, NONCE, b"hello", b"blue")
    for position in range(1, len(envelope)):
        changed = bytearray(envelope)
        changed[position] ^= 0x10
        with pytest.raises(WireError, match="no_key"):
            decrypt([KEY], bytes(changed), b"blue")


@pytest.mark.statement("M-110")
@pytest.mark.parametrize("aad", [b"", b"blu", b"blue ", b"Blue"])
def test_another_label_fails(aad):
    with pytest.raises(WireError, match="no_key"):
        decrypt([KEY], encrypt(1, KEY, NONCE, b"hello", b"blue"), aad)


@pytest.mark.statement("M-111")
@pytest.mark.parametrize("padding", [17, 33, 255])
def test_padding_longer_than_the_plaintext_is_an_error(padding):
    # Only who has the key can do this. Version 1 of the same bytes has no padding of its own.
    envelope = b"\0" + encrypt(1, KEY, NONCE, bytes(15) + bytes((padding,)), b"")[1:]
    with pytest.raises(WireError, match="enc_padding"):
        decrypt([KEY], envelope, b"")


@pytest.mark.parametrize(
    ("padded", "plaintext"),
    [(bytes(16), bytes(16)), (b"x" * 15 + b"\x10", b""), (b"abc" * 5 + b"\x03", b"abc" * 4 + b"a")],
)
def test_padding_is_counted_by_its_last_byte_alone(padded, plaintext):
    envelope = b"\0" + encrypt(1, KEY, NONCE, padded, b"")[1:]
    assert decrypt([KEY], envelope, b"") == plaintext


BACKENDS = {"cryptography": with_cryptography, "pycryptodome": with_pycryptodome}


@pytest.fixture(params=BACKENDS)
def backend(request) -> Aead:
    if request.param == "cryptography":
        pytest.importorskip("cryptography")
    return BACKENDS[request.param]()


@pytest.mark.parametrize("aad", [b"", b"blue"])
def test_each_library_opens_what_either_sealed(backend, aad):
    for other in (with_pycryptodome(), backend):
        for size in (16, 24, 32):
            key = bytes(range(size))
            for plaintext in (b"", b"hello", bytes(5000)):
                sealed = backend.seal(key, NONCE, plaintext, aad)
                assert sealed == other.seal(key, NONCE, plaintext, aad)
                assert other.unseal(key, NONCE, sealed, aad) == plaintext
                assert other.unseal(key, NONCE, sealed, aad + b"!") is None
                assert other.unseal(key, NONCE, b"\1" + sealed, aad) is None
                assert type(sealed) is type(other.unseal(key, NONCE, sealed, aad)) is bytes


def test_no_library_is_imported_before_there_is_a_key():
    code = (
        "import sys, serfcompat.wire.security, serfcompat.swim.keyring as k\n"
        "loaded = lambda: {'Crypto.Cipher', 'cryptography.exceptions'} & set(sys.modules)\n"
        "ring = k.Keyring(); assert not loaded(), loaded()\n"
        "ring.add(bytes(16)); assert loaded()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.property
@given(st.binary(max_size=200), st.sampled_from([(), (KEY,), (OTHER, KEY)]), st.binary(max_size=8))
def test_any_bytes_open_to_bytes_or_a_wire_error(data, keys, aad):
    with pytest.raises(WireError, match=r"enc_short|enc_version|no_key"):  # to open it would take a broken AES
        decrypt(keys, data, aad)


@pytest.mark.property
@given(st.binary(max_size=300), st.binary(max_size=40), st.integers(0, 1), st.binary(min_size=12, max_size=12))
def test_what_is_sealed_opens(plaintext, aad, version, nonce):
    envelope = encrypt(version, KEY, nonce, plaintext, aad)
    assert decrypt([OTHER, KEY], envelope, aad) == plaintext
    assert len(envelope) == sealed_size(version, len(plaintext))
