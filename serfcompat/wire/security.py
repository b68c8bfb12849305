"""The encryption envelope of packets and streams, and trial decryption (spec memberlist §5).

    version:u8 | nonce:12 | AES-GCM(plaintext) ‖ tag:16

Version 0 pads the plaintext to whole blocks of 16, version 1 takes it as it is. The version
byte itself is not authenticated.
"""

from __future__ import annotations

from collections.abc import Sequence

from serfcompat.errors import WireError
from serfcompat.wire.aead import NONCE_SIZE, TAG_SIZE, aead

_BLOCK = 16
_HEADER = 1 + NONCE_SIZE
_LATEST = 1
ENCRYPTION_OVERHEAD = (_HEADER + _BLOCK + TAG_SIZE, _HEADER + TAG_SIZE)
"""By version: bytes that encryption adds at most, which is also how long an envelope is at least."""


def encrypt(version: int, key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """The envelope. `nonce` is 12 bytes that were never used with this key before."""
    if version == 0:
        # ⚠ A plaintext of whole blocks gets one more block (M-108).
        padding = _BLOCK - len(plaintext) % _BLOCK
        plaintext += bytes((padding,)) * padding
    return bytes((version,)) + nonce + aead().seal(key, nonce, plaintext, aad)


def sealed_size(version: int, size: int) -> int:
    """Bytes of the envelope around a plaintext of `size` bytes."""
    padding = _BLOCK - size % _BLOCK if version == 0 else 0
    return _HEADER + size + padding + TAG_SIZE


def decrypt(keys: Sequence[bytes], data: bytes, aad: bytes) -> bytes:
    """What is inside the envelope, by the first of `keys` that fits. Our own version does not matter (M-030).

    Raises:
        WireError: `enc_short`, `enc_version` (of the future), `no_key` (another key, another label, or
            a bit was changed) or `enc_padding` (version 0; upstream crashes there, defect B-2).
    """
    if not data:
        raise WireError("enc_short", "nothing to decrypt")
    version = data[0]
    if version > _LATEST:
        raise WireError("enc_version", f"encryption version {version} is not understood")
    if len(data) < ENCRYPTION_OVERHEAD[version]:
        raise WireError("enc_short", f"{len(data)} bytes can't be an encrypted message")
    nonce, sealed = data[1:_HEADER], data[_HEADER:]
    unseal = aead().unseal
    for key in keys:
        plaintext = unseal(key, nonce, sealed, aad)
        if plaintext is not None:
            return _unpad(plaintext) if version == 0 else plaintext
    raise WireError("no_key", "no installed key decrypts the message")


def _unpad(padded: bytes) -> bytes:
    """⚠ As upstream: the last byte counts the bytes to take off. Their values are not looked at."""
    padding = padded[-1]
    if padding > len(padded):
        raise WireError("enc_padding", f"{padding} bytes of padding in {len(padded)} bytes")
    return padded[: len(padded) - padding]
