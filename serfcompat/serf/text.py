"""Names and tags between the wire (`bytes`) and the application (`str`), converted here and nowhere else.

Upstream never checks that they are UTF-8. `surrogateescape` makes the way there and
back lossless, so a name with stray bytes can be read, shown and sent again.
"""

from __future__ import annotations

from collections.abc import Mapping


def text(raw: bytes) -> str:
    """What the application sees."""
    return raw.decode("utf-8", "surrogateescape")


def raw(text: str) -> bytes:
    """What goes on the wire."""
    return text.encode("utf-8", "surrogateescape")


def shown(raw: bytes) -> str:
    """For a log line: stray bytes as escapes, because a log handler may refuse surrogates."""
    return raw.decode("utf-8", "backslashreplace")


def text_map(raw_map: Mapping[bytes, bytes]) -> dict[str, str]:
    return {text(key): text(value) for key, value in raw_map.items()}


def raw_map(text_map: Mapping[str, str]) -> dict[bytes, bytes]:
    return {raw(key): raw(value) for key, value in text_map.items()}
