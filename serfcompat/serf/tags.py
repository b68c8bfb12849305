"""Tags: what a node tells about itself, as memberlist metadata (spec serf §1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from serfcompat.errors import PayloadTooLarge
from serfcompat.serf.text import raw_map, text_map
from serfcompat.swim.config import META_MAX
from serfcompat.wire.serf_messages import decode_tags, encode_tags

TOO_LONG = f"Encoded length of tags exceeds limit of {META_MAX} bytes"
"Upstream's text for tags that don't fit, of our own or of others."


def encoded(tags: Mapping[str, str], protocol: int) -> bytes:
    """The metadata that carries these tags; protocol 2 has room for `role` only."""
    return encode_tags(raw_map(tags), protocol)


def check(tags: Mapping[str, str], protocol: int) -> None:
    """Raise `PayloadTooLarge` if tags don't fit into a node's metadata."""
    if (size := len(encoded(tags, protocol))) > META_MAX:
        raise PayloadTooLarge(
            TOO_LONG,
            limit=META_MAX,
            size=size,
            advice="use fewer or shorter tags",
        )


@lru_cache(maxsize=2048)  # most members of a cluster have one of a few sets of tags
def decoded(meta: bytes) -> tuple[Mapping[str, str], str | None]:
    """The tags in some metadata, read-only and shared, and what was wrong with the rest of it, if anything."""
    tags, error = decode_tags(meta)
    return MappingProxyType(text_map(tags or {})), None if error is None else str(error)
