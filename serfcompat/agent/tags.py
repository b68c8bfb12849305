"""`key=value`, as flags and files give tags (spec agent §2.6)."""

from __future__ import annotations


def split_tag(argument: str) -> tuple[str, str]:
    """Key and value, cut at the first `=`. Raises ValueError if there is no key."""
    key, equals, value = argument.partition("=")
    if not equals or not key:
        raise ValueError(f"Invalid tag: '{argument}'")
    return key, value
