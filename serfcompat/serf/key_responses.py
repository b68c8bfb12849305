"""Key rotation from the asking side: what to ask, and what the answers say (spec serf §7.1, §7.2)."""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass, field

from serfcompat.errors import UsageError, WireError
from serfcompat.serf.text import shown, text
from serfcompat.wire.serf_messages import KeyRequest, KeyResponse
from serfcompat.wire.types import SerfMessageType

OPERATIONS = ("install-key", "use-key", "remove-key", "list-keys")
"Each is asked by the query `_serf_<operation>`."


_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def request_payload(key: str) -> bytes:
    """The payload that asks for an operation on a key, given in base64; list-keys has the empty one.

    Raises:
        UsageError: It is not base64, in Go's words. Nothing was sent.
    """
    if (offset := _illegal_at(key)) is not None:
        raise UsageError(f"illegal base64 data at input byte {offset}")
    return KeyRequest(base64.b64decode(key)).encode()


def _illegal_at(key: str) -> int | None:
    """Where Go's decoder gives up, or None. It wants whole groups of four and skips line ends."""
    group, at = 0, 0
    while at < len(key):
        char = key[at]
        at += 1
        if char in _ALPHABET:
            group = (group + 1) % 4
        elif char == "=":
            if group < 2:
                return at - 1
            at = _skip_line_ends(key, at)
            if group == 2:  # a second one must follow
                if at == len(key):
                    return at
                if key[at] != "=":
                    return at - 1
                at = _skip_line_ends(key, at + 1)
            return at if at < len(key) else None
        elif char not in "\r\n":
            return at - 1
    return at - group if group else None


def _skip_line_ends(key: str, at: int) -> int:
    while at < len(key) and key[at] in "\r\n":
        at += 1
    return at


@dataclass(slots=True)
class KeyResult:
    """What a key operation did, also when it failed in part (upstream `KeyResponse`)."""

    num_nodes: int = 0
    "Members that were alive when it was asked."
    num_resp: int = 0
    num_err: int = 0
    messages: dict[str, str] = field(default_factory=dict)
    "Node → what it complained of."
    keys: dict[str, int] = field(default_factory=dict)
    "Key → how many nodes have it. Only list-keys fills it."
    keys_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Node → its keys, primary first, for every node that answered without a complaint. Only list-keys
    fills the keys. A list that was cut does not name them all: see `messages`."""
    primary_keys: dict[str, int] = field(default_factory=dict)
    "Primary key → how many nodes use it. ⚠ Other operations count the empty string (S-155)."

    @property
    def complete(self) -> bool:
        """Every node has answered: no need to wait for the query's end."""
        return self.num_resp == self.num_nodes

    @property
    def error(self) -> str | None:
        """What is wrong with the whole, or None."""
        if self.num_err:
            return f"{self.num_err}/{self.num_nodes} nodes reported failure"
        if self.num_resp != self.num_nodes:
            return f"{self.num_resp}/{self.num_nodes} nodes reported success"
        return None

    def add(self, from_: str, payload: bytes | None, log: logging.Logger) -> None:
        """Count one node's answer."""
        self.num_resp += 1
        if not payload or payload[0] != SerfMessageType.KEY_RESPONSE:
            self._fail(from_, f"Invalid key query response type: {_go_bytes(payload or b'')}")
            return
        try:
            response = KeyResponse.decode(payload[1:])
        except WireError:
            self._fail(from_, f"Failed to decode key query response: {_go_bytes(payload)}")
            return
        if not response.result:
            self._fail(from_, text(response.message))
        elif response.message:  # a list that was cut
            self.messages[from_] = text(response.message)
            log.warning("serf: %s", shown(response.message))
        if response.result:
            self.keys_of[from_] = tuple(map(text, response.keys or ()))
        for key in response.keys or ():
            self.keys[text(key)] = self.keys.get(text(key), 0) + 1
        primary = text(response.primary_key)
        self.primary_keys[primary] = self.primary_keys.get(primary, 0) + 1

    def _fail(self, from_: str, message: str) -> None:
        self.messages[from_] = message
        self.num_err += 1


def _go_bytes(data: bytes) -> str:
    """`[1 2 3]`, as Go prints bytes."""
    return f"[{' '.join(map(str, data))}]"
