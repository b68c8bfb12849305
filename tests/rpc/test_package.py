"""What `serfcompat.rpc` offers, and that looking at it costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import serfcompat.rpc
from serfcompat.rpc.client import Client


def test_the_client_is_found_by_the_package():
    assert serfcompat.rpc.Client is Client
    with pytest.raises(AttributeError):
        _ = serfcompat.rpc.Bogus


def test_the_protocol_needs_no_sockets():
    code = (
        "import serfcompat.rpc.protocol, sys; print([m for m in ('socket', 'threading', 'gevent') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
