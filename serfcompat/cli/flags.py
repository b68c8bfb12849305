"""Command line flags with the grammar of Go's `flag` package (spec agent §1.1.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from serfcompat.agent.durations import parse_duration
from serfcompat.agent.quoting import quote

WIDTH = 79
INDENT = 28


class FlagError(Exception):
    """The arguments break the grammar; the text is the line that Go prints, empty if it prints none."""


class Flag:
    """One flag. Made by `boolean`, `string`, `integer`, `duration` or `strings`."""

    def __init__(
        self,
        name: str,
        default: Any,
        help: str,
        parse: Callable[[str], Any],
        *,
        value: str = "",
        repeatable: bool = False,
        hidden: bool = False,
        into: str = "",
    ) -> None:
        self.name = name
        self.key = into or name
        "Where its value is found."
        self.default = default
        self.help = help
        self.parse = parse
        self.value = value
        "What stands for the value in the help text; empty for a boolean."
        self.repeatable = repeatable
        self.hidden = hidden
        "Understood, but not shown in the help text."


def boolean(name: str, default: bool, help: str, *, hidden: bool = False) -> Flag:
    return Flag(name, default, help, parse_bool, hidden=hidden)


def string(name: str, default: str, help: str, *, value: str = "value") -> Flag:
    return Flag(name, default, help, str, value=value)


def integer(name: str, default: int, help: str) -> Flag:
    return Flag(name, default, help, parse_int, value="n")


def duration(name: str, default_ns: int, help: str) -> Flag:
    """Its value is integer nanoseconds."""
    return Flag(name, default_ns, help, _duration, value="time")


def strings(name: str, help: str, *, value: str = "value", into: str = "") -> Flag:
    """May be given many times; its value is the list of all. `into`: the name of a list that several flags fill."""
    return Flag(name, (), help, str, value=value, repeatable=True, into=into)


class FlagSet:
    """The flags of one command."""

    def __init__(self, *flags: Flag) -> None:
        self.flags = flags
        self._named = {flag.name: flag for flag in flags}

    def parse(self, args: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
        """Values by name, and the positional arguments. Raises FlagError."""
        values: dict[str, Any] = {flag.key: [] if flag.repeatable else flag.default for flag in self.flags}
        rest = list(args)
        while rest:
            arg = rest[0]
            if len(arg) < 2 or not arg.startswith("-"):
                break
            if arg == "--":
                del rest[0]
                break
            del rest[0]
            name, equals, value = arg.removeprefix("-").removeprefix("-").partition("=")
            if not name or name.startswith("-"):
                raise FlagError(f"bad flag syntax: {arg}")
            flag = self._named.get(name)
            if flag is None:
                # Asking for help this way, e.g. `-h=x`, is no mistake to Go, but no success either.
                raise FlagError("" if name in ("h", "help") else f"flag provided but not defined: -{name}")
            if flag.value and not equals:
                if not rest:
                    raise FlagError(f"flag needs an argument: -{name}")
                value = rest.pop(0)
            elif not equals:
                value = "true"
            parsed = _parse(flag, value)
            if flag.repeatable:
                values[flag.key].append(parsed)
            else:
                values[flag.key] = parsed
        return values, rest

    def help(self) -> str:
        """The list of options, one indented block per flag."""
        return "\n\n".join(_describe(flag) for flag in self.flags if not flag.hidden)


def _parse(flag: Flag, value: str) -> Any:
    try:
        return flag.parse(value)
    except OverflowError:
        reason = "value out of range"
    except ValueError:
        reason = "parse error"
    if not flag.value:
        raise FlagError(f"invalid boolean value {quote(value)} for -{flag.name}: {reason}")
    raise FlagError(f"invalid value {quote(value)} for flag -{flag.name}: {reason}")


def parse_bool(text: str) -> bool:
    """Raises ValueError (upstream `strconv.ParseBool`)."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(text)


def parse_int(text: str) -> int:
    """Decimal, or with a prefix for another base. Raises ValueError or OverflowError (upstream `strconv.ParseInt`)."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not digits.isascii() or not digits[:1].isalnum() or digits != digits.strip():
        raise ValueError(text)
    if digits[0] == "0" and digits[1:2] not in ("", "x", "X", "o", "O", "b", "B"):
        digits = "0o" + digits[1:]
    number = int(digits, 0)
    if text.startswith("-"):
        number = -number
    if not -(2**63) <= number < 2**63:
        raise OverflowError(text)
    return number


def _duration(text: str) -> int:
    return parse_duration(text)


def _describe(flag: Flag) -> str:
    left = f"  -{flag.name}" + (f"=<{flag.value}>" if flag.value else "")
    lines, line = [], left.ljust(INDENT - 1) if len(left) < INDENT - 1 else left + "\n" + " " * (INDENT - 1)
    for word in flag.help.split():
        if len(line.rpartition("\n")[2]) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = " " * (INDENT - 1)
        line += " " + word
    return "\n".join([*lines, line])
