"""Talk to agents: `from serfcompat.rpc import Client`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serfcompat.rpc.client import Client, Records

__all__ = ["Client", "Records"]


def __getattr__(name: str) -> Any:
    """Loaded when first used: the protocol's values alone need no sockets."""
    if name in __all__:
        from serfcompat.rpc import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
