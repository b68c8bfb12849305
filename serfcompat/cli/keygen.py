"""`serf keygen`: make an encryption key (spec agent §1.7)."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence

from serfcompat.cli.context import Context

HELP = """
Usage: serf keygen

  Makes a new encryption key, for the `-encrypt` flag or a keyring file.
"""
FLAGS = None
KEY_BYTES = 32


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0, whatever the arguments."""
    ctx.print(base64.b64encode(os.urandom(KEY_BYTES)).decode())
    return 0
