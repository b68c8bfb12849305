"""The regular expressions of tag filters: RE2, as Go's `regexp` matches it (spec serf §6.2).

Python's `re` is another dialect, and a hostile expression can keep it busy for hours.
Here an expression becomes a small automaton whose states are all followed at once, one
character at a time. That needs no backtracking, and a budget bounds the rest:

    re2_parser (text → tree) → compile (tree → instructions) → run (instructions, value)

Characters are code points, and each stray byte is U+FFFD, as in Go.

Not there: script classes such as Greek (general categories are), groups nested
deeper than 100, and expressions longer than `_MAX_LENGTH`, or that would need more than
`_MAX_INSTRUCTIONS` or `_MAX_STEPS`. All of these fail closed, with an error.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from serfcompat.serf.re2_chars import Charset
from serfcompat.serf.re2_parser import Alt, Assertion, Cat, Chars, Look, Parser, RE2Error, Repeat, Tree

_MAX_LENGTH = 4096
"Bytes of an expression. A whole query has 1024 by default."
_MAX_INSTRUCTIONS = 10_000
_MAX_STEPS = 50_000
"States visited in one search, some 20 ms of work; `[a-z]+` on 512 bytes needs about 1500."


class Found(NamedTuple):
    """What a search found, and how much work it was (or had been when it was done first)."""

    matched: bool
    steps: int


@lru_cache(maxsize=1024)
def search(expression: bytes, value: bytes) -> Found:
    """Whether the expression matches somewhere in the value. Raises RE2Error."""
    program = _compiled(expression)
    matched, steps = _run(program, _runes(value))
    return Found(matched, len(expression) + len(program) + steps)


@lru_cache(maxsize=16)  # few: a hostile expression may need 10,000 instructions, and strangers choose it
def _compiled(expression: bytes) -> list[_Instruction]:
    if len(expression) > _MAX_LENGTH:
        raise RE2Error("expression too large")
    try:
        pattern = expression.decode()
    except UnicodeDecodeError:
        raise RE2Error("invalid UTF-8", expression.decode("utf-8", "replace")) from None
    return _compile(Parser(pattern).parse())


def _runes(value: bytes) -> str:
    """Decode as Go ranges over a string: every byte that fits nowhere is one U+FFFD."""
    return re.sub("[\udc80-\udcff]", "\ufffd", value.decode("utf-8", "surrogateescape"))


# Instructions: a character to read, a place to check, or up to two places to go on at.


class _Instruction:
    __slots__ = ("accepts", "holds", "next", "other")

    def __init__(self, accepts: Charset | None = None, holds: Assertion | None = None) -> None:
        self.accepts = accepts
        self.holds = holds
        self.next = 0
        self.other: int | None = None


_MATCH = 0
"The place that means: found. `_START` is where a match may begin."
_START = 1


def _compile(tree: Tree) -> list[_Instruction]:
    """Lay the tree out as instructions, last part first, so that each knows where it goes on."""
    program = [_Instruction(), _Instruction()]
    emitted = 0

    def place(instruction: _Instruction, then: int, other: int | None = None) -> int:
        if len(program) >= _MAX_INSTRUCTIONS:
            raise RE2Error("expression too large")
        instruction.next, instruction.other = then, other
        program.append(instruction)
        return len(program) - 1

    def emit(part: Tree, then: int) -> int:
        """Lay a part out in front of `then`; returns where it begins."""
        nonlocal emitted
        emitted += 1
        if emitted > 4 * _MAX_INSTRUCTIONS:  # repeated parts may be empty and still cost time
            raise RE2Error("expression too large")
        match part:
            case Chars(accepts=accepts):
                return place(_Instruction(accepts=accepts), then)
            case Look(holds=holds):
                return place(_Instruction(holds=holds), then)
            case Cat(parts=parts):
                for inner in reversed(parts):
                    then = emit(inner, then)
                return then
            case Alt(branches=branches):
                begin = emit(branches[-1], then)
                for branch in reversed(branches[:-1]):
                    begin = place(_Instruction(), emit(branch, then), begin)
                return begin
            case Repeat(part=inner, least=least, most=most):
                if most is None:
                    loop = place(_Instruction(), then)
                    program[loop].other = emit(inner, loop)
                    then = loop
                else:
                    end = then
                    for _ in range(most - least):
                        then = place(_Instruction(), emit(inner, then), end)
                for _ in range(least):
                    then = emit(inner, then)
                return then

    program[_START].next = emit(tree, _MATCH)
    return program


def _run(program: list[_Instruction], value: str) -> tuple[bool, int]:
    """Follow every state at once through the value (Thompson's construction), and count the states visited."""
    current: list[int] = []
    steps = 0
    for at in range(len(value) + 1):
        before = value[at - 1] if at else ""
        char = value[at] if at < len(value) else ""
        seen: set[int] = set()
        pending = [_START, *reversed(current)]
        readers: list[int] = []
        while pending:
            index = pending.pop()
            if index == _MATCH:
                return True, steps
            if index in seen:
                continue
            seen.add(index)
            instruction = program[index]
            if instruction.accepts is not None:
                readers.append(index)
            elif instruction.holds is None or instruction.holds(before, char):
                pending.append(instruction.next)
                if instruction.other is not None:
                    pending.append(instruction.other)
        steps += len(seen)
        if steps > _MAX_STEPS:
            raise RE2Error("expression needs too much work")
        if char:
            current = [
                program[index].next for index in readers if (accepts := program[index].accepts) and accepts(char)
            ]
    return False, steps
