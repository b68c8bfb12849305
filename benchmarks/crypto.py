"""Cases 12 to 15: the encryption envelope, with each library that is installed.

As in Go, a cipher is made from the raw key each time, encrypting draws a nonce from the system,
and decrypting tries a list of one key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.case import Case, require
from benchmarks.inputs import Inputs
from serfcompat.wire import aead, security


def libraries() -> Iterator[str]:
    """Names of what is installed."""
    yield "pycryptodome"
    try:
        aead.with_cryptography()
    except ImportError:
        return
    yield "cryptography"


@contextmanager
def library(name: str) -> Iterator[None]:
    """Let everything encrypt and decrypt with this one, whatever is installed."""
    with_cryptography = aead.with_cryptography
    if name == "pycryptodome":
        aead.with_cryptography = _missing
    aead.aead.cache_clear()
    try:
        yield
    finally:
        aead.with_cryptography = with_cryptography
        aead.aead.cache_clear()


def _missing() -> aead.Aead:
    raise ImportError


def cases(inputs: Inputs) -> Iterator[Case]:
    payload = inputs["payload1400"]
    for name in libraries():
        within = partial(library, name)
        for number, key in ((12, inputs["key16"]), (14, inputs["key32"])):
            yield Case(number, partial(_encrypt, key, payload), variant=name, within=within)
            yield Case(number + 1, partial(_decrypt, key, payload), variant=name, within=within)


def _encrypt(key: bytes, payload: bytes) -> Callable[[], object]:
    def encrypt() -> bytes:
        return security.encrypt(1, key, os.urandom(12), payload, b"")

    require(security.decrypt([key], encrypt(), b"") == payload, "what was encrypted")
    return encrypt


def _decrypt(key: bytes, payload: bytes) -> Callable[[], object]:
    envelope = security.encrypt(1, key, bytes(12), payload, b"")
    require(security.decrypt([key], envelope, b"") == payload, "what was encrypted")
    return partial(security.decrypt, [key], envelope, b"")
