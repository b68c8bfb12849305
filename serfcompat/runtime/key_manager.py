"""Encryption keys of the whole cluster, from one node (spec serf §7; upstream `KeyManager`)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from serfcompat.runtime.key_rotation import Rotation, rotate
from serfcompat.runtime.query import QueryResponses
from serfcompat.serf.key_responses import KeyResult, request_payload


class KeyManager:
    """Installs, selects, removes and lists keys on every member.

    Each call asks all members and waits until all have answered, or the query's time is
    over. It returns what was found even if some nodes failed: look at `KeyResult.error`.
    Keys are base64 text of 16, 24 or 32 bytes. They are never logged.
    """

    def __init__(
        self,
        ask: Callable[[str, bytes, int], QueryResponses],
        alive_count: Callable[[], int],
        alive_names: Callable[[], frozenset[str]],
        call: Callable[[Callable[[], KeyResult]], KeyResult],
        exclusive: Callable[[], AbstractContextManager[object]],
        log: logging.Logger,
    ) -> None:
        """Made by `Serf`.

        Args:
            ask: (name, payload, relay factor) → sends a query.
            alive_count: How many answers to expect.
            alive_names: Who must take part in a rotation.
            call: Runs a function on the node's hub.
            exclusive: Keeps key changes of this node apart; entered on the hub.
        """
        self._ask = ask
        self._alive_count = alive_count
        self._alive_names = alive_names
        self._call = call
        self._exclusive = exclusive
        self._log = log

    def install(self, key: str, *, relay_factor: int = 0) -> KeyResult:
        """Add a key to every member's ring, so that they understand it. Raises UsageError: not base64."""
        return self._change("install-key", key, relay_factor)

    def use(self, key: str, *, relay_factor: int = 0) -> KeyResult:
        """Let every member encrypt with a key that is installed everywhere. Raises UsageError: not base64."""
        return self._change("use-key", key, relay_factor)

    def remove(self, key: str, *, relay_factor: int = 0) -> KeyResult:
        """Drop a key that nobody encrypts with any more. Raises UsageError: not base64."""
        return self._change("remove-key", key, relay_factor)

    def list(self, *, relay_factor: int = 0) -> KeyResult:
        """Count which keys the members have."""
        return self._call(lambda: self._run("list-keys", "", relay_factor))

    def rotate(self, new_key: str, *, expected: Iterable[str] = (), relay_factor: int = 0) -> Rotation:
        """Bring the whole cluster to a new key and no other, without locking anybody out.

        Installs it, verifies that every member has it, uses it, verifies, removes the old
        ones, verifies. Blocks some round trips when all goes well.

        Args:
            new_key: base64 of 16, 24 or 32 bytes, e.g. from `serfcompat keygen`.
            expected: Members that must take part, beside all that are alive now.

        Raises:
            RotationError: A member did not answer or could not follow; `.rotation` says
                how far it came and who lacks what. Calling again with the same key goes on.
            UsageError: Not base64; nothing was sent.
        """
        request_payload(new_key)
        always = frozenset(expected)
        return rotate(self, new_key, lambda: always | self._alive_names(), relay_factor)

    def _change(self, operation: str, key: str, relay_factor: int) -> KeyResult:
        def run() -> KeyResult:
            with self._exclusive():
                return self._run(operation, key, relay_factor)

        return self._call(run)

    def _run(self, operation: str, key: str, relay_factor: int) -> KeyResult:
        payload = request_payload(key)
        answers = self._ask(f"_serf_{operation}", payload, relay_factor)
        result = KeyResult(num_nodes=self._alive_count())
        for answer in answers:
            result.add(answer.from_, answer.payload, self._log)
            if result.complete:
                answers.close()
                break
        return result
