"""The file in which an agent's tags outlive it (spec agent §2.6)."""

from __future__ import annotations

import os
from collections.abc import Mapping

from serfcompat.agent.config import ConfigError
from serfcompat.agent.config_files import first_json
from serfcompat.agent.gojson import dumps

MODE = 0o600


def read_tags(path: str) -> dict[str, str] | None:
    """The tags in the file; None if there is no file. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"Failed to read tags file: open {path}: {_reason(error)}") from None
    try:
        tags = first_json(data)
        if tags is not None and not isinstance(tags, dict):
            raise ValueError("json: cannot unmarshal into a map of strings")
        for value in (tags or {}).values():
            if not isinstance(value, str):
                raise ValueError("json: cannot unmarshal into a string")
    except ValueError as error:
        raise ConfigError(f"Failed to decode tags file: {error}") from None
    return tags or {}


def write_tags(path: str, tags: Mapping[str, str]) -> None:
    """Write the tags in place; an existing file keeps its mode. Raises OSError."""
    data = dumps(tags).encode()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
    with open(fd, "wb") as file:
        file.write(data)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
