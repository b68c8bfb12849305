"""AES-GCM: the one place that knows which library does it.

`cryptography` is taken when it is there (extra `speed`; under 1 µs a packet), pycryptodome
otherwise (about 45 µs, most of it the set-up of a cipher object, which belongs to one nonce and
so can't be kept). Both give the same bytes. Neither is imported before the first key: that
takes some 50 ms, and most clusters have no key.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple, Protocol

NONCE_SIZE = 12
"Bytes of a nonce; fresh ones for every encryption."
TAG_SIZE = 16
"Bytes of authentication that follow the ciphertext."


class _Seal(Protocol):
    def __call__(self, key: bytes, nonce: bytes, plaintext: bytes, aad: bytes, /) -> bytes:
        """Ciphertext and tag."""


class _Unseal(Protocol):
    def __call__(self, key: bytes, nonce: bytes, sealed: bytes, aad: bytes, /) -> bytes | None:
        """The plaintext; None if `key` isn't the one, or a single bit differs from what was sealed."""


class Aead(NamedTuple):
    """AES-GCM with a key of 16, 24 or 32 bytes. `aad` is authenticated along, but not part of the result."""

    seal: _Seal
    unseal: _Unseal


@cache
def aead() -> Aead:
    """What this installation has. The first call imports it."""
    try:
        return with_cryptography()
    except ImportError:
        return with_pycryptodome()


def with_cryptography() -> Aead:
    """Raises ImportError if `cryptography` isn't installed."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    def seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        return AESGCM(key).encrypt(nonce, plaintext, aad)

    def unseal(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes | None:
        try:
            return AESGCM(key).decrypt(nonce, sealed, aad)
        except InvalidTag:
            return None

    return Aead(seal, unseal)


def with_pycryptodome() -> Aead:
    """Always there."""
    from Crypto.Cipher import AES

    def seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
        cipher = AES.new(key, AES.MODE_GCM, nonce=nonce)
        if aad:
            cipher.update(aad)
        ciphertext, tag = cipher.encrypt_and_digest(plaintext)
        return bytes(ciphertext + tag)

    def unseal(key: bytes, nonce: bytes, sealed: bytes, aad: bytes) -> bytes | None:
        cipher = AES.new(key, AES.MODE_GCM, nonce=nonce)
        if aad:
            cipher.update(aad)
        try:
            return bytes(cipher.decrypt_and_verify(sealed[:-TAG_SIZE], sealed[-TAG_SIZE:]))
        except ValueError:  # how pycryptodome says that the tag is wrong
            return None

    return Aead(seal, unseal)
