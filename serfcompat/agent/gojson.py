"""JSON as Go writes it, byte for byte (spec agent §1.1.6): two-space indent, sorted maps, HTML signs escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


class Struct(dict[str, object]):
    """Keys in the order given, as Go writes the fields of a struct. Other mappings are sorted by their bytes."""


def dumps(value: object) -> str:
    """The text, without a final newline. For str, int, bool, None, sequences and mappings of them."""
    return "".join(_parts(value, "\n"))


def _parts(value: object, newline: str) -> Iterator[str]:
    inner = newline + "  "
    if isinstance(value, str):
        yield _string(value)
    elif value is None or isinstance(value, bool):
        yield {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, int):
        yield str(value)
    elif isinstance(value, Mapping):
        items = value.items() if isinstance(value, Struct) else sorted(value.items(), key=lambda item: _raw(item[0]))
        lead = "{"
        for key, item in items:
            yield f"{lead}{inner}{_string(key)}: "
            yield from _parts(item, inner)
            lead = ","
        yield "{}" if lead == "{" else newline + "}"
    elif isinstance(value, Sequence):
        lead = "["
        for item in value:
            yield lead + inner
            yield from _parts(item, inner)
            lead = ","
        yield "[]" if lead == "[" else newline + "]"
    else:
        raise TypeError(f"no JSON for {type(value).__name__}")


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _string(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char < " ":
        return f"\\u{ord(char):04x}"
    if "\ud800" <= char <= "\udfff":  # a stray byte
        return "\\ufffd"
    return char
