"""Configuration files and directories (spec agent §2.1, §2.4.1)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from serfcompat.agent.config import FIELDS, AgentConfig, ConfigError, Kind, merge
from serfcompat.agent.durations import parse_duration

_SECTIONS = frozenset(key.partition(".")[0] for key in FIELDS if "." in key)
_GO_TYPES = {str: "string", float: "float64", int: "float64", bool: "bool", list: "slice", dict: "map"}


def read_paths(paths: Sequence[str]) -> AgentConfig:
    """All these files and directories, in order. Raises ConfigError."""
    config = AgentConfig()
    for path in paths:
        for file in _files(path):
            config = merge(config, _read(file))
    return config


def _files(path: str) -> Iterator[str]:
    """The file itself, or a directory's `*.json`, sorted by the bytes of their names, none from below."""
    try:
        if not os.path.isdir(path):
            os.stat(path)
            yield path
            return
        names = sorted(os.listdir(path), key=os.fsencode)
    except OSError as error:
        raise ConfigError(f"Error reading '{path}': open {path}: {_reason(error)}") from None
    for name in names:
        inside = os.path.join(path, name)
        if name.endswith(".json") and not os.path.isdir(inside):
            yield inside


def _read(path: str) -> AgentConfig:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ConfigError(f"Error reading '{path}': open {path}: {_reason(error)}") from None
    try:
        return decode(data)
    except ValueError as error:
        raise ConfigError(f"Error decoding '{path}': {error}") from None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def decode(data: bytes) -> AgentConfig:
    """The settings in the first JSON value; what follows it is ignored. Raises ValueError, in Go's words."""
    value = first_json(data)
    if value is None:
        return AgentConfig()
    if not isinstance(value, dict):
        raise ValueError(f"'' expected a map, got '{_GO_TYPES[type(value)]}'")
    problems: list[str] = []
    found = _decode_object(value, "", problems)
    if problems:
        listed = "\n".join(f"* {problem}" for problem in sorted(problems))
        raise ValueError(f"{len(problems)} error(s) decoding:\n\n{listed}")
    for key, field in FIELDS.items():
        if field.metadata["kind"] is Kind.DURATION and key in found:
            found[key] = parse_duration(found[key]) if found[key] else 0
    return AgentConfig(**{FIELDS[key].name: item for key, item in found.items()})


def _decode_object(value: Mapping[str, Any], prefix: str, problems: list[str]) -> dict[str, Any]:
    """Settings by key. Keys are told apart without regard to case."""
    known = {key.lower(): key for key in FIELDS}
    found: dict[str, Any] = {}
    unknown = []
    for name, item in value.items():
        key = known.get((prefix + name).lower())
        if key is not None:
            if item is not None:
                _decode_item(found, key, item, problems)
        elif not prefix and name.lower() in _SECTIONS:
            if isinstance(item, Mapping):
                found |= _decode_object(item, name.lower() + ".", problems)
            elif item is not None:
                problems.append(f"'{name.lower()}' expected a map, got '{_GO_TYPES[type(item)]}'")
        else:
            unknown.append(name)
    if unknown:
        problems.append(f"'{prefix.removesuffix('.')}' has invalid keys: {', '.join(sorted(unknown))}")
    return found


def _decode_item(found: dict[str, Any], key: str, item: Any, problems: list[str]) -> None:
    match FIELDS[key].metadata["kind"]:
        case Kind.STRING | Kind.DURATION if isinstance(item, str):
            found[key] = item
        case Kind.BOOL | Kind.IGNORED if isinstance(item, bool):
            found[key] = item
        case Kind.INT if isinstance(item, (int, float)) and not isinstance(item, bool):
            found[key] = int(item)
        case Kind.STRINGS if isinstance(item, list):
            found[key] = item
            problems += [
                _unconvertible(f"{key}[{at}]", "string", each) for at, each in enumerate(item) if _no_text(each)
            ]
        case Kind.TAGS if isinstance(item, dict):
            found[key] = {name: each or "" for name, each in item.items()}
            problems += [
                _unconvertible(f"{key}[{name}]", "string", each) for name, each in item.items() if _no_text(each)
            ]
        case Kind.STRINGS:
            problems.append(f"'{key}': source data must be an array or slice, got {_GO_TYPES[type(item)]}")
        case Kind.TAGS:
            problems.append(f"'{key}' expected a map, got '{_GO_TYPES[type(item)]}'")
        case kind:
            wanted = {Kind.INT: "int", Kind.BOOL: "bool", Kind.IGNORED: "bool"}.get(kind, "string")
            problems.append(_unconvertible(key, wanted, item))


def _no_text(item: Any) -> bool:
    return item is not None and not isinstance(item, str)


def _unconvertible(key: str, wanted: str, item: Any) -> str:
    kind = {"slice": "[]interface {}", "map": "map[string]interface {}"}.get(
        _GO_TYPES[type(item)], _GO_TYPES[type(item)]
    )
    return f"'{key}' expected type '{wanted}', got unconvertible type '{kind}', value: '{_shown(item)}'"


def _shown(item: Any) -> str:
    """A JSON value as Go's `%v` shows it."""
    match item:
        case bool():
            return "true" if item else "false"
        case int() | float():
            return f"{item:g}" if abs(item) >= 1e21 or (item and abs(item) < 1e-4) else repr(item).removesuffix(".0")
        case list():
            return f"[{' '.join(map(_shown, item))}]"
        case dict():
            return f"map[{' '.join(f'{key}:{_shown(each)}' for key, each in sorted(item.items()))}]"
        case None:
            return "<nil>"
        case _:
            return str(item)


def first_json(data: bytes) -> Any:
    """The first value in a JSON text. Raises ValueError with Go's words for what is cut short."""
    text = data.decode("utf-8", "replace").lstrip(" \t\r\n")
    if not text:
        raise ValueError("EOF")
    try:
        value, _ = json.JSONDecoder(parse_constant=_no_constant).raw_decode(text)
    except RecursionError:
        raise ValueError("exceeded max depth") from None
    except json.JSONDecodeError as error:
        raise ValueError(_syntax(text, error)) from None
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


def _syntax(text: str, error: json.JSONDecodeError) -> str:
    for literal in ("null", "true", "false"):
        word = text[error.pos :]
        if word and word[0] == literal[0]:
            at = next((at for at, char in enumerate(literal) if word[at : at + 1] != char), 0)
            if at < len(word):
                return f"invalid character '{word[at]}' in literal {literal} (expecting '{literal[at]}')"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    return f"invalid character '{text[error.pos]}' looking for beginning of value"
