"""Sets of characters in RE2 expressions: classes, categories, and what differs in case only (spec serf §6.2)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache

Charset = Callable[[str], bool]
"(character) → whether it is in the set."

PERL_CLASSES = {"d": "0-9", "s": "\t\n\f\r ", "w": "0-9A-Za-z_"}
POSIX_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": "\x00-\x7f", "blank": "\t ", "cntrl": "\x00-\x1f\x7f",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@[-`{-~",
    "space": "\t\n\v\f\r ", "upper": "A-Z", "word": "0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_CATEGORIES = {
    "C", "Cc", "Cf", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No",
    "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs",
}  # fmt: skip


def _ranges(spec: str) -> list[tuple[str, str]]:
    """The ranges in a class of the tables above: `a-z` is a range if three characters long, else single ones."""
    found, i = [], 0
    while i < len(spec):
        if spec[i + 1 : i + 2] == "-" and i + 2 < len(spec):
            found.append((spec[i], spec[i + 2]))
            i += 3
        else:
            found.append((spec[i], spec[i]))
            i += 1
    return found


def fold(char: str) -> str:
    """One form for all that differ in case only (Unicode simple folding)."""
    folded = char.casefold()
    if len(folded) != 1:
        folded = char.lower()
    return folded if len(folded) == 1 else char


class CharsetBuilder:
    """A set of characters under construction."""

    def __init__(self, ignore_case: bool) -> None:
        self._ignore_case = ignore_case
        self._pairs: list[tuple[str, str]] = []
        self._others: list[Charset] = []

    def add_range(self, low: str, high: str) -> None:
        self._pairs.append((low, high))
        if self._ignore_case and low == high:
            self._pairs.append((fold(low), fold(low)))

    def add(self, accepts: Charset) -> None:
        self._others.append(accepts)

    def charset(self, negated: bool) -> Charset:
        pairs, others, ignore_case = tuple(self._pairs), tuple(self._others), self._ignore_case

        def has(char: str) -> bool:
            return any(low <= char <= high for low, high in pairs) or any(accepts(char) for accepts in others)

        def accepts(char: str) -> bool:
            found = has(char)
            if ignore_case and not found:
                found = any(has(c) for c in {fold(char), char.lower(), char.upper()} if len(c) == 1)
            return found != negated

        return lru_cache(maxsize=512)(accepts)  # a class may have thousands of ranges and be asked thousands of times


def table_class(spec: str, negated: bool, ignore_case: bool) -> Charset:
    """A class of `PERL_CLASSES` or `POSIX_CLASSES`."""
    chars = CharsetBuilder(ignore_case)
    for low, high in _ranges(spec):
        chars.add_range(low, high)
    return chars.charset(negated)


def category_class(name: str, negated: bool, ignore_case: bool) -> Charset | None:
    """The characters of a Unicode general category, e.g. `Lu` or `L`; None if there is none of that name."""
    if name == "Any":
        return lambda _char: not negated
    if name not in _CATEGORIES:
        return None
    any_case = ignore_case and name in ("Lu", "Ll", "Lt")

    def accepts(char: str) -> bool:
        category = unicodedata.category(char)
        found = category.startswith(name) and category != "Cn"  # Go's `C` leaves out what is not assigned
        return (found or (any_case and char.lower() != char.upper())) != negated

    return accepts
