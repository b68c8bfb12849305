"""Good inputs, or nearly good ones: the vectors that Go printed, sorted by what reads them."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from serfcompat.wire.stream import StreamReader, push_pull_message, user_message
from tests.vectors.layers import layers_of

VECTORS = Path(__file__).parents[1] / "vectors"
EXCHANGES = Path(__file__).parents[1] / "rpc" / "exchanges.jsonl"
LARGE = 4096
"Bytes from which on an input is of the few that are kept to show size; mutating it shows nothing new."
FEW = 4


def bodies() -> dict[str, list[bytes]]:
    """Message bodies, without type byte, by family and kind: `memberlist ping`."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for name in ("messages", "accept", "reject"):
        for record in _records(VECTORS / f"{name}.jsonl"):
            data = bytes.fromhex(record["hex"])
            has_type = record["type"] is not None and not record["msg"].startswith("tags")
            found[f"{record['family']} {record['msg']}"].append(data[1:] if has_type else data)
    return {kind: _not_too_large(data) for kind, data in found.items()}


def messages(family: str) -> list[bytes]:
    """Whole messages of a family, type byte and body."""
    return _not_too_large(
        [
            bytes.fromhex(record["hex"])
            for name in ("messages", "accept")
            for record in _records(VECTORS / f"{name}.jsonl")
            if record["family"] == family and record["type"] is not None and record["msg"] != "coordinate"
        ]
    )


def lzw() -> list[bytes]:
    return _not_too_large([bytes.fromhex(record["lzw"]) for record in _records(VECTORS / "lzw.jsonl")])


def packets() -> list[bytes]:
    return _not_too_large([bytes.fromhex(record["hex"]) for record in _records(VECTORS / "packets.jsonl")])


def streams() -> list[bytes]:
    return _not_too_large([bytes.fromhex(record["hex"]) for record in _records(VECTORS / "streams.jsonl")])


def stream_messages() -> list[bytes]:
    """The messages inside the streams, without layers."""
    records = [record for record in _records(VECTORS / "streams.jsonl") if record["kind"] != "serve"]
    return _not_too_large([_message_of(record) for record in records])


def _message_of(record: dict[str, Any]) -> bytes:
    chunks = [bytes.fromhex(record["hex"])]
    reader = StreamReader(lambda _: chunks.pop() if chunks else b"", layers_of(record))
    if record["kind"] != "errorReply":  # answers have no label header
        reader.read_label_header()
    reader.read_type()
    match record["kind"]:
        case "pushPull":
            state = reader.read_push_pull()
            return push_pull_message(state.join, state.nodes, state.user_state)
        case "user":
            return user_message(reader.read_user_message())
        case "ping":
            return reader.read_ping().encode()
        case _:
            return reader.read_error().encode()


def rpc_objects() -> list[bytes]:
    """What RPC clients and agents write: objects one by one, and headers with their bodies."""
    found = []
    for record in _records(EXCHANGES):
        for texts in (record.get("request"), record.get("replies")):
            objects = [bytes.fromhex(text) for text in texts or ()]
            found += [*objects, b"".join(objects)]
    return _not_too_large([data for data in found if data])


@cache
def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _not_too_large(data: list[bytes]) -> list[bytes]:
    large = [item for item in data if len(item) > LARGE]
    return [item for item in data if len(item) <= LARGE] + sorted(large, key=len)[:FEW]
