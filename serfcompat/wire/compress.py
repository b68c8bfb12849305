"""The compress message, on packets and streams (spec memberlist §4.4, §4.5)."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from itertools import pairwise

from serfcompat.errors import WireError
from serfcompat.wire import lzw
from serfcompat.wire.messages import Compress
from serfcompat.wire.types import COMPRESS_LZW

_REMEMBERED = 2048
"Bytes that are kept for a while, with what they were compressed to or from: any datagram of the usual size."
_LEAST_FRAME = len(Compress(COMPRESS_LZW, b"").encode())


def wrap(payload: bytes) -> bytes:
    """The compress message around `payload`; it may be longer than that."""
    return Compress(COMPRESS_LZW, lzw.compress(payload)).encode()


def shorter(payload: bytes) -> bytes | None:
    """The compress message around `payload` if that is shorter, else None."""
    return _shorter_again(payload) if len(payload) <= _REMEMBERED else _shorter(payload)


def may_shrink(payload: bytes) -> bool:
    """False if the compress message around `payload` can't be shorter than it: a bound, at a third of the cost.

    A code of LZW stands for more than one byte only if every pair of neighbours in it came
    before, and has 9 bits at least. So data needs a code for each byte but those that end
    such a repeated pair; and one to begin, and one to end.
    """
    size = len(payload)
    if size > _REMEMBERED:
        return True  # there it nearly always pays
    codes = size - (size - 1 - len(set(pairwise(payload)))) + 2
    return _LEAST_FRAME + (9 * codes + 7) // 8 < size


def _shorter(payload: bytes) -> bytes | None:
    if not may_shrink(payload):
        return None
    message = wrap(payload)
    return message if len(message) < len(payload) else None


def _unpack(data: bytes) -> bytes:
    return lzw.decompress(data, _REMEMBERED)


# What is gossiped goes to several nodes in turn, and comes from several, mostly in the very same packet.
_shorter_again = lru_cache(maxsize=64)(_shorter)
_unpack_again = lru_cache(maxsize=64)(_unpack)


def forget() -> None:
    """Keep nothing of what was compressed before: for measurements, which do the same thing over and over."""
    _shorter_again.cache_clear()
    _unpack_again.cache_clear()


def unwrap(message: Compress, limit: int) -> bytes:
    """What is inside, up to `limit` bytes.

    Raises:
        WireError: `algo`, or one of `lzw.decompress`.
    """
    if message.algo != COMPRESS_LZW:
        raise WireError("algo", f"cannot decompress unknown algorithm {message.algo}")
    data = message.buf or b""
    if len(data) <= _REMEMBERED:
        with contextlib.suppress(WireError):  # what is broken, or large inside, isn't kept
            inner = _unpack_again(data)
            if len(inner) <= limit:
                return inner
    return lzw.decompress(data, limit)
