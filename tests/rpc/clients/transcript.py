"""What a client's calls gave, as JSON on stdout. For the scripts beside this file, which run without serfcompat."""

from __future__ import annotations

import json
from typing import Any


class Transcript:
    """Labels and outcomes of calls, in order."""

    def __init__(self) -> None:
        self._entries: list[tuple[str, Any]] = []

    def add(self, label: str, value: Any) -> None:
        self._entries.append((label, _plain(value)))

    def failed(self, label: str, error: BaseException) -> None:
        self.add(label, {"raises": type(error).__name__, "text": str(error)})

    def print(self) -> None:
        print(json.dumps(self._entries))


def _plain(value: Any) -> Any:
    """As JSON has it; bytes stay different from text, and the attributes of a client's own objects are shown."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return f"bytes:{value.decode('latin-1')}"
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    shown = {key: each for key, each in vars(value).items() if key != "client"}
    return {"type": type(value).__name__, **_plain(shown)}
