"""The syntax of RE2, as Go's `regexp` reads it: from text to a tree (spec serf §6.2).

The tree has five kinds of node. Sets of characters and assertions about a place are
predicates, so nothing after this file knows what a class or a boundary is. Groups and
lazy repetition leave no trace: only "does it match somewhere" will be asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from serfcompat.serf.re2_chars import (
    PERL_CLASSES,
    POSIX_CLASSES,
    Charset,
    CharsetBuilder,
    category_class,
    fold,
    table_class,
)

_MAX_REPEAT = 1000
"Of one repetition, and of nested ones multiplied; Go's own bound."
_MAX_DEPTH = 100
"Nested groups. Go allows 1000; this bounds the recursion of the compiler."
_MAX_RUNE = 0x10FFFF


class RE2Error(ValueError):
    """The expression isn't RE2, or is too big. The text is Go's where Go refuses it as well."""

    def __init__(self, why: str, part: str = "") -> None:
        super().__init__(f"error parsing regexp: {why}: `{part}`" if part else f"error parsing regexp: {why}")


Assertion = Callable[[str, str], bool]
"(character before, character after) → holds; at the ends of the text there is an empty string."


class Chars:
    def __init__(self, accepts: Charset) -> None:
        self.accepts = accepts


class Look:
    def __init__(self, holds: Assertion) -> None:
        self.holds = holds


class Cat:
    def __init__(self, parts: list[Tree]) -> None:
        self.parts = parts


class Alt:
    def __init__(self, branches: list[Tree]) -> None:
        self.branches = branches


class Repeat:
    def __init__(self, part: Tree, least: int, most: int | None) -> None:
        self.part = part
        self.least = least
        self.most = most


Tree = Chars | Look | Cat | Alt | Repeat


def _is_word(char: str) -> bool:
    return char != "" and (char == "_" or (char.isascii() and char.isalnum()))


_ASSERTIONS: dict[str, Assertion] = {
    "A": lambda before, after: before == "",
    "z": lambda before, after: after == "",
    "b": lambda before, after: _is_word(before) != _is_word(after),
    "B": lambda before, after: _is_word(before) == _is_word(after),
}
"By the letter of their escape. ⚠ `$` is `z`: unlike in Python it does not match before a last newline."
_LINE_ASSERTIONS: dict[str, Assertion] = {
    "^": lambda before, after: before in ("", "\n"),
    "$": lambda before, after: after in ("", "\n"),
}
_BOUNDS = re.compile(r"(0|[1-9][0-9]*)(,(0|[1-9][0-9]*)?)?\}")
"What makes a `{` a repetition; any other is a literal."
_ESCAPES = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Parser:
    """A reader of RE2 syntax with the flags that Go's `regexp.Compile` sets (upstream `syntax.Perl`)."""

    def __init__(self, pattern: str) -> None:
        self._all = pattern
        self._at = 0
        self._fold = self._multi_line = self._dot_newline = False
        self._names: set[str] = set()
        self._groups: list[tuple[list[Tree], list[Tree], tuple[bool, bool, bool]]] = []
        self._branches: list[Tree] = []
        self._parts: list[Tree] = []

    def parse(self) -> Tree:
        last_repeat: int | None = None  # where the repetition just read begins: another one may not follow it
        while self._at < len(self._all):
            start, char = self._at, self._all[self._at]
            repeat: int | None = None
            self._at += 1
            if char == "(":
                self._open(start)
            elif char == "|":
                self._branches.append(Cat(self._parts))
                self._parts = []
            elif char == ")":
                self._close()
            elif char in "*+?":
                least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
                self._repeat(start, last_repeat, least, most)
                repeat = start
            elif char == "{" and (bounds := _BOUNDS.match(self._all, self._at)):
                self._at = bounds.end()
                self._counted(start, last_repeat, bounds)
                repeat = start
            else:
                self._single(start, char)
            last_repeat = repeat
        if self._groups:
            raise RE2Error("missing closing )", self._all)
        return self._alternation()

    def _alternation(self) -> Tree:
        return Alt([*self._branches, Cat(self._parts)])

    def _open(self, start: int) -> None:
        outer = (self._fold, self._multi_line, self._dot_newline)
        if self._rest(start, 2) == "(?" and not self._perl_group(start):
            return
        if len(self._groups) >= _MAX_DEPTH:
            raise RE2Error("expression nests too deeply", self._all)
        self._groups.append((self._branches, self._parts, outer))
        self._branches, self._parts = [], []

    def _perl_group(self, start: int) -> bool:
        """Read `(?…`; False if it only set flags for the rest of the group around it."""
        self._at = start + 2
        if named := re.compile(r"P?<").match(self._all, self._at):
            end = self._all.find(">", named.end())
            if end < 0:
                raise RE2Error("invalid named capture", self._all[start:])
            name = self._all[named.end() : end]
            if not re.fullmatch(r"[0-9A-Za-z_]+", name):
                raise RE2Error("invalid named capture", self._all[start : end + 1])
            if name in self._names:
                raise RE2Error("duplicate capture group name", name)
            self._names.add(name)
            self._at = end + 1
            return True
        on, fresh = True, True
        flags = {"i": self._fold, "m": self._multi_line, "s": self._dot_newline, "U": False}
        while self._at < len(self._all):
            char = self._all[self._at]
            self._at += 1
            if char in flags:
                flags[char], fresh = on, False
            elif char == "-" and on:
                on, fresh = False, True
            elif char in ":)" and (on or not fresh):
                self._fold, self._multi_line, self._dot_newline = flags["i"], flags["m"], flags["s"]
                return char == ":"
            else:
                break
        raise RE2Error("invalid or unsupported Perl syntax", self._all[start : self._at])

    def _close(self) -> None:
        if not self._groups:
            raise RE2Error("unexpected )", self._all)
        inner = self._alternation()
        self._branches, self._parts, (self._fold, self._multi_line, self._dot_newline) = self._groups.pop()
        self._parts.append(inner)

    def _repeat(self, start: int, last_repeat: int | None, least: int, most: int | None) -> None:
        if self._rest(self._at, 1) == "?":  # lazy: which match is found doesn't matter here
            self._at += 1
        if last_repeat is not None:
            raise RE2Error("invalid nested repetition operator", self._all[last_repeat : self._at])
        if not self._parts:
            raise RE2Error("missing argument to repetition operator", self._all[start : self._at])
        self._parts.append(Repeat(self._parts.pop(), least, most))

    def _counted(self, start: int, last_repeat: int | None, bounds: re.Match[str]) -> None:
        least = int(bounds[1][:9])
        most = least if bounds[2] is None else None if bounds[3] is None else int(bounds[3][:9])
        if max(least, most or 0) > _MAX_REPEAT or (most is not None and least > most):
            raise RE2Error("invalid repeat count", self._all[start : self._at])
        self._repeat(start, last_repeat, least, most)
        if max(least, most or 0) >= 2 and not _counts_fit(self._parts[-1]):
            raise RE2Error("invalid repeat count", self._all[start : self._at])

    def _single(self, start: int, char: str) -> None:
        """Anything that stands for one character or one place."""
        part: Tree
        if char in "^$":
            part = Look(_LINE_ASSERTIONS[char] if self._multi_line else _ASSERTIONS["A" if char == "^" else "z"])
        elif char == ".":
            part = Chars((lambda c: True) if self._dot_newline else (lambda c: c != "\n"))
        elif char == "[":
            part = Chars(self._bracket(start))
        elif char == "\\":
            escape = self._rest(self._at, 1)
            if escape == "Q":
                end = self._all.find("\\E", self._at + 1)
                quoted = self._all[self._at + 1 : end if end >= 0 else len(self._all)]
                self._at = end + 2 if end >= 0 else len(self._all)
                self._parts += [self._literal(c) for c in quoted]
                return
            if escape in _ASSERTIONS:
                self._at += 1
                part = Look(_ASSERTIONS[escape])
            elif (charset := self._class_escape(start)) is not None:
                part = Chars(charset)
            else:
                part = self._literal(self._escape(start))
        else:
            part = self._literal(char)
        self._parts.append(part)

    def _literal(self, char: str) -> Tree:
        if not self._fold:
            return Chars(lambda c: c == char)
        folded = fold(char)
        return Chars(lambda c: c == char or fold(c) == folded)

    def _class_escape(self, start: int) -> Charset | None:
        r"""Read `\d`, `\pL`, `\p{Lu}` and the like; None if something else follows the backslash."""
        kind = self._rest(self._at, 1)
        if kind in ("d", "D", "s", "S", "w", "W"):
            self._at += 1
            return table_class(PERL_CLASSES[kind.lower()], kind.isupper(), self._fold)
        if kind not in ("p", "P"):
            return None
        self._at += 1
        negated = kind == "P"
        name = self._rest(self._at, 1)
        self._at += 1
        if name == "{":
            end = self._all.find("}", self._at)
            if end < 0:
                raise RE2Error("invalid character class range", self._all[start:])
            name = self._all[self._at : end]
            self._at = end + 1
        if name.startswith("^"):
            negated, name = not negated, name[1:]
        if (charset := category_class(name, negated, self._fold)) is None:
            raise RE2Error("invalid character class range", self._all[start : self._at])
        return charset

    def _escape(self, start: int) -> str:
        """Read what follows a backslash as one character."""
        char = self._rest(self._at, 1)
        if not char:
            raise RE2Error("trailing backslash at end of expression")
        self._at += 1
        if char.isascii() and not char.isalnum():
            return char
        if char in _ESCAPES:
            return _ESCAPES[char]
        # ⚠ `\1` alone would be a back-reference, which RE2 does not have; `\12` is octal.
        if octal := re.compile(r"0[0-7]{0,2}|[1-7][0-7]{1,2}").match(self._all, self._at - 1):
            self._at = octal.end()
            return chr(int(octal[0], 8))
        if char == "x":
            if plain := re.compile(r"[0-9A-Fa-f]{2}").match(self._all, self._at):
                self._at = plain.end()
                return chr(int(plain[0], 16))
            long = re.compile(r"\{0*([0-9A-Fa-f]{1,6})\}").match(self._all, self._at)
            if long and int(long[1], 16) <= _MAX_RUNE:
                self._at = long.end()
                return chr(int(long[1], 16))
        raise RE2Error("invalid escape sequence", self._all[start : self._at])

    def _bracket(self, start: int) -> Charset:
        """Read a bracket class up to its `]`."""
        chars = CharsetBuilder(self._fold)
        negated = self._rest(self._at, 1) == "^"
        self._at += negated
        first = True
        while first or self._rest(self._at, 1) != "]":
            first = False
            here = self._at
            if self._rest(here, 2) == "[:" and (end := self._all.find(":]", here + 2)) >= 0:
                name = self._all[here + 2 : end]
                if name.removeprefix("^") not in POSIX_CLASSES:
                    raise RE2Error("invalid character class range", self._all[here : end + 2])
                chars.add(table_class(POSIX_CLASSES[name.removeprefix("^")], name.startswith("^"), self._fold))
                self._at = end + 2
                continue
            if self._rest(here, 1) == "\\":
                self._at += 1
                if (charset := self._class_escape(here)) is not None:
                    chars.add(charset)
                    continue
                self._at = here
            low = high = self._class_char(start)
            if self._rest(self._at, 1) == "-" and self._rest(self._at + 1, 1) not in ("]", ""):
                self._at += 1
                high = self._class_char(start)
                if high < low:
                    raise RE2Error("invalid character class range", self._all[here : self._at])
            chars.add_range(low, high)
        self._at += 1
        return chars.charset(negated)

    def _class_char(self, start: int) -> str:
        char = self._rest(self._at, 1)
        if not char:
            raise RE2Error("missing closing ]", self._all[start:])
        self._at += 1
        return self._escape(self._at - 1) if char == "\\" else char

    def _rest(self, at: int, count: int) -> str:
        return self._all[at : at + count]


def _counts_fit(tree: Tree) -> bool:
    """Whether nested repetition counts, multiplied, stay within Go's bound."""
    pending = [(tree, _MAX_REPEAT)]
    while pending:
        part, left = pending.pop()
        match part:
            case Repeat(part=inner, least=least, most=most):
                count = least if most is None else most
                if count > left:
                    return False
                if most != 0:
                    pending.append((inner, left // count if count else left))
            case Cat(parts=parts) | Alt(branches=parts):
                pending += [(inner, left) for inner in parts]
            case _:
                pass
    return True
