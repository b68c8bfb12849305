"""The file of encryption keys, read at start (spec agent §2.7)."""

from __future__ import annotations

import base64
import os

from serfcompat.agent.config import ConfigError
from serfcompat.agent.config_files import first_json
from serfcompat.errors import UsageError
from serfcompat.serf.key_responses import request_payload
from serfcompat.swim.config import KEY_SIZES


def read_keyring(path: str) -> list[bytes]:
    """The keys, primary first. Raises ConfigError; no key is ever in its text."""
    try:
        os.stat(path)
    except OSError as error:
        raise ConfigError(f"stat {path}: {_reason(error)}") from None
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ConfigError(f"Failed to read keyring file: open {path}: {_reason(error)}") from None
    try:
        listed = first_json(data)
        if listed is not None and not isinstance(listed, list):
            raise ValueError("json: cannot unmarshal into a list of strings")
        if any(not isinstance(key, str) for key in listed or ()):
            raise ValueError("json: cannot unmarshal into a string")
    except ValueError as error:
        raise ConfigError(f"Failed to decode keyring file: {error}") from None
    keys = []
    for key in listed or ():
        try:
            request_payload(key)
        except UsageError as error:
            raise ConfigError(f"Failed to decode key from keyring: {error}") from None
        keys.append(base64.b64decode(key))
    if not keys:
        raise ConfigError("Keyring file contains no keys")
    if any(len(key) not in KEY_SIZES for key in keys):
        raise ConfigError("Failed to restore keyring: key size must be 16, 24 or 32 bytes")
    return keys


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
