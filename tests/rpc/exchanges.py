"""The captured exchanges, as the tests want them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from serfcompat.rpc import codec


class Exchange:
    """One request to serf 0.10.1 and what came back, as bytes of single objects."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.id: str = record["id"]
        self.request = None if record["request"] is None else [bytes.fromhex(item) for item in record["request"]]
        self.replies = [bytes.fromhex(item) for item in record["replies"]]
        self.closed: bool = record["closed"]

    @property
    def objects(self) -> list[Any]:
        return [codec.unpack(item) for item in self.replies]


def load() -> list[Exchange]:
    lines = Path(__file__).with_name("exchanges.jsonl").read_text().splitlines()
    return [Exchange(record) for record in map(json.loads, lines) if "id" in record]


EXCHANGES = {exchange.id: exchange for exchange in load()}
