"""All that is tried."""

from __future__ import annotations

from functools import cache

from tests.fuzz.node_targets import node_targets
from tests.fuzz.rpc_targets import rpc_targets
from tests.fuzz.target import Target
from tests.fuzz.wire_targets import wire_targets


def targets(only: str = "") -> list[Target]:
    """Those that have `only` in their name."""
    return [target for target in _all() if only in target.name]


@cache
def _all() -> list[Target]:
    return [*wire_targets(), *node_targets(), *rpc_targets()]
