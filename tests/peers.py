"""Where the real Go binaries are, for tests marked `interop`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

GO_VERSIONS = ("0.9.4", "0.10.1")


def go_serf(version: str) -> str:
    """Path of a Go serf. Without it the test is skipped, or fails if SERFCOMPAT_REQUIRE_PEERS is set."""
    return peer("serf", version)


def peer(program: str, version: str) -> str:
    """Path of a program of `interop/fetch-peers`. Without it the test is skipped, or fails, as above."""
    root = os.environ.get("SERFCOMPAT_PEERS") or Path(__file__).parents[1] / ".peers"
    path = Path(root) / f"{program}-{version}" / program
    if not path.exists():
        message = f"no Go peer at {path}: run interop/fetch-peers"
        if os.environ.get("SERFCOMPAT_REQUIRE_PEERS"):
            pytest.fail(message)
        pytest.skip(message)
    return str(path)
