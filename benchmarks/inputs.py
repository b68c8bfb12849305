"""The bytes that both languages are measured on: `inputs.json`, one hex string (or a list of them) per name."""

from __future__ import annotations

import json
from pathlib import Path


class Inputs:
    """What is in the file."""

    def __init__(self) -> None:
        self._found = json.loads((Path(__file__).parent / "inputs.json").read_text(encoding="utf-8"))

    def __getitem__(self, name: str) -> bytes:
        return bytes.fromhex(self._found[name])

    def all(self, name: str) -> list[bytes]:
        return [bytes.fromhex(text) for text in self._found[name]]
