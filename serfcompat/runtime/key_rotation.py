"""Changing the cluster's key so that nobody is locked out: install, verify, use, verify, remove.

A node that lacks the key which others encrypt with is cut off, and nothing can reach it
any more to mend that. So each step is verified on every expected member before the next
one begins, and a step that is not complete ends the rotation there. Each step may be
repeated, so a rotation that ended early is resumed by calling it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from serfcompat.errors import SerfCompatError

if TYPE_CHECKING:
    from serfcompat.runtime.key_manager import KeyManager


class Step(Enum):
    """How far a rotation came."""

    NOTHING = "nothing changed"
    INSTALLED = "every expected member has the new key"
    USED = "every expected member encrypts with the new key"
    DONE = "no expected member has any other key"


@dataclass(slots=True)
class Rotation:
    """What a rotation did, node by node."""

    step: Step = Step.NOTHING
    lacking: dict[str, str] = field(default_factory=dict)
    "Node → why it keeps the rotation from going on. Empty when it went through."

    @property
    def done(self) -> bool:
        return self.step is Step.DONE


class RotationError(SerfCompatError):
    """A rotation ended early; nobody is locked out. Mend what `rotation.lacking` names and call again."""

    def __init__(self, rotation: Rotation) -> None:
        self.rotation = rotation
        nodes = ", ".join(f"{node}: {why}" for node, why in sorted(rotation.lacking.items()))
        super().__init__(
            f"key rotation stopped ({rotation.step.value}): {nodes}. "
            "Nobody is locked out; mend this and rotate again with the same key to go on"
        )


def rotate(keys: KeyManager, new_key: str, expected: Callable[[], frozenset[str]], relay_factor: int) -> Rotation:
    """Bring the cluster to `new_key` and no other. Raises RotationError, UsageError (not base64).

    Args:
        expected: Names of the members that must take part, asked anew before each step.
    """
    rotation = Rotation()
    held = _verified(keys, rotation, expected, relay_factor, lambda node_keys: None)
    if not all(new_key in node_keys for node_keys in held.values()):
        keys.install(new_key, relay_factor=relay_factor)
    _verified(
        keys, rotation, expected, relay_factor, lambda node: None if new_key in node else "it does not have the new key"
    )
    rotation.step = Step.INSTALLED
    keys.use(new_key, relay_factor=relay_factor)
    held = _verified(
        keys, rotation, expected, relay_factor, lambda node: None if node[:1] == (new_key,) else "it uses another key"
    )
    rotation.step = Step.USED
    for old in sorted({key for node_keys in held.values() for key in node_keys} - {new_key}):
        keys.remove(old, relay_factor=relay_factor)
    _verified(
        keys, rotation, expected, relay_factor, lambda node: None if node == (new_key,) else "it still has an old key"
    )
    rotation.step = Step.DONE
    return rotation


def _verified(
    keys: KeyManager,
    rotation: Rotation,
    expected: Callable[[], frozenset[str]],
    relay_factor: int,
    fault: Callable[[tuple[str, ...]], str | None],
) -> dict[str, tuple[str, ...]]:
    """The keys of every expected member. Raises RotationError if one is silent or at fault."""
    found = keys.list(relay_factor=relay_factor)
    lacking = {}
    for node in expected() | found.keys_of.keys() | found.messages.keys():
        if node in found.messages:
            lacking[node] = found.messages[node]
        elif node not in found.keys_of:
            lacking[node] = "it did not answer"
        elif why := fault(found.keys_of[node]):
            lacking[node] = why
    rotation.lacking = lacking
    if lacking:
        raise RotationError(rotation)
    return found.keys_of
