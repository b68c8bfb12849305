"""Key rotation on each node: `_serf_install-key`, `use-key`, `remove-key`, `list-keys` (spec serf §7.3 to §7.5).

The asking side is `key_responses`. Keys are never logged.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence

from serfcompat.errors import SerfCompatError, UsageError, WireError
from serfcompat.serf.core import Core
from serfcompat.serf.effects import WriteKeyring
from serfcompat.serf.events import QueryEvent
from serfcompat.serf.responses import respond, response_to, send_response
from serfcompat.swim.keyring import Keyring
from serfcompat.wire.serf_messages import KeyRequest, KeyResponse, QueryResponse

_MIN_ENCODED_KEY = 25
"Bytes that one listed key needs at least: 24 characters and their length (minEncodedKeyLength)."


def on_install(core: Core, query: QueryEvent, now_ns: int) -> None:
    """Add a key to the ring."""
    _change(core, query, now_ns, "install-key", Keyring.add, "Failed to install key")


def on_use(core: Core, query: QueryEvent, now_ns: int) -> None:
    """Make a key of the ring the one to encrypt with."""
    _change(core, query, now_ns, "use-key", Keyring.use, "Failed to change primary key")


def on_remove(core: Core, query: QueryEvent, now_ns: int) -> None:
    """Drop a key from the ring."""
    _change(core, query, now_ns, "remove-key", Keyring.remove, "Failed to remove key")


def on_list(core: Core, query: QueryEvent, now_ns: int) -> None:
    """Tell all keys, or as many as fit into a response."""
    core.log.info("serf: Received list-keys query")
    ring = core.swim.keyring
    if not len(ring):
        _refuse(core, query, "Keyring is empty (encryption not enabled)", now_ns)
        return
    listed = [base64.b64encode(key) for key in ring]
    response = fit_key_list(
        listed, listed[0], lambda body: response_to(core, query, body), core.config.query_response_size_limit
    )
    if response is None:
        core.log.error("serf: Failed to truncate response so that it fits into message")
        return
    encoded, message = response
    if message:
        core.log.warning("serf: %s", message)
    try:
        send_response(core, query, encoded, now_ns)
    except SerfCompatError as error:
        core.log.error("serf: Failed to respond to key query: %s", error)


def fit_key_list(
    keys: Sequence[bytes], primary: bytes, wrap: Callable[[bytes], QueryResponse], limit: int
) -> tuple[bytes, str] | None:
    """The longest list of keys that fits into a response of `limit` bytes (spec serf §7.5).

    Returns:
        The encoded query response, and what it says if it was cut; None if nothing fits.
        ⚠ The first cut is to `limit // 25` keys, which may be all of them: nothing is cut
        then, but the message claims so.
    """
    total = len(keys)
    message = ""
    for count in range(min(limit // _MIN_ENCODED_KEY, total), -1, -1):
        encoded = wrap(KeyResponse(True, message.encode(), list(keys), primary).encode()).encode()
        if len(encoded) <= limit:
            return encoded, message
        keys = keys[:count]
        message = f"truncated key list response, showing first {count} of {total} keys"
    return None


def keyring_file(ring: Sequence[bytes]) -> bytes:
    """The keyring as its file has it: JSON, two spaces, primary first, no newline at the end (spec serf §7.4)."""
    return json.dumps([base64.b64encode(key).decode() for key in ring], indent=2).encode()


def _change(
    core: Core,
    query: QueryEvent,
    now_ns: int,
    operation: str,
    apply: Callable[[Keyring, bytes], None],
    failure: str,
) -> None:
    """One change of the ring: decode, apply, write the file, reply."""
    try:
        # ⚠ The type byte is skipped unread; upstream crashes on an empty payload (defect D-2).
        if not query.payload:
            raise WireError("truncated", "empty payload")
        request = KeyRequest.decode(query.payload[1:])
    except WireError as error:
        core.log.error("serf: Failed to decode key request: %s", error)
        _reply(core, query, KeyResponse(False, b"", None, b""), now_ns)
        return
    ring = core.swim.keyring
    if not len(ring):
        _refuse(core, query, "No keyring to modify (encryption not enabled)", now_ns)
        return
    core.log.info("serf: Received %s query", operation)
    try:
        apply(ring, request.key or b"")
    except UsageError as error:
        core.log.error("serf: %s: %s", failure, error)
        _reply(core, query, KeyResponse(False, str(error).encode(), None, b""), now_ns)
        return
    if not core.config.keyring_file:
        _reply(core, query, KeyResponse(True, b"", None, b""), now_ns)
        return
    number = max(core.keyring_writes, default=0) + 1
    core.keyring_writes[number] = lambda error, now_ns: _on_written(core, query, error, now_ns)
    core.out.append(WriteKeyring(keyring_file(ring), number))


def _on_written(core: Core, query: QueryEvent, error: str | None, now_ns: int) -> None:
    """⚠ A change that could not be written stays in force: upstream does not roll it back."""
    if error is None:
        _reply(core, query, KeyResponse(True, b"", None, b""), now_ns)
    else:
        _refuse(core, query, f"Failed to write keyring file: {error}", now_ns)


def _refuse(core: Core, query: QueryEvent, why: str, now_ns: int) -> None:
    core.log.error("serf: %s", why)
    _reply(core, query, KeyResponse(False, why.encode("utf-8", "surrogateescape"), None, b""), now_ns)


def _reply(core: Core, query: QueryEvent, response: KeyResponse, now_ns: int) -> None:
    try:
        respond(core, query, response.encode(), now_ns)
    except SerfCompatError as error:
        core.log.error("serf: Failed to respond to key query: %s", error)
