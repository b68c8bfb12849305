"""The `config` of a record as `Layers`."""

from __future__ import annotations

from typing import Any

from serfcompat.wire.layers import Layers


def layers_of(record: dict[str, Any]) -> Layers:
    config = record["config"]
    return Layers(
        label=bytes.fromhex(config["label"]),
        keys=[bytes.fromhex(key) for key in config["keys"]],
        compress=config["compress"],
        encryption_version=0 if config["protocol_version"] == 1 else 1,
        verify_incoming=config["verify_incoming"],
        verify_outgoing=config["verify_outgoing"],
        skip_inbound_label_check=config["skip_inbound_label_check"],
    )


def nonce_of(record: dict[str, Any]) -> bytes:
    """The nonce that Go drew; an error if it drew none."""
    return bytes.fromhex(record["nonce"])
