"""Where agents can meet by multicast, which loopback doesn't do."""

from __future__ import annotations

from pathlib import Path

import pytest

from serfcompat.agent.interfaces import interface_addresses


def multicast_interface():
    """A network interface that agents can meet on, and its address."""
    for path in sorted(Path("/sys/class/net").iterdir()):
        flags = int((path / "flags").read_text(), 16)
        if flags & 0x1 and flags & 0x1000 and (path / "operstate").read_text().strip() == "up":
            addresses = [ip for ip in interface_addresses(path.name) if ":" not in ip]
            if addresses:
                return path.name, addresses[0]
    pytest.skip("no network interface that can do multicast")
    return None
