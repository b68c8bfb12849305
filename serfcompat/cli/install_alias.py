"""`serfcompat install-alias`: be found by the name of `serf`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence

from serfcompat.cli.context import Context
from serfcompat.cli.flags import FlagSet

HELP = """
Usage: serfcompat install-alias DIR

  Makes a link DIR/serf to this program, for scripts that call `serf`. Nothing
  is overwritten: if DIR has a serf already, it stays, and that is an error.
"""
FLAGS = FlagSet()
NAME = "serf"


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 if the link was made."""
    if len(args) != 1:
        return ctx.usage("A directory for the link must be specified.")
    link = os.path.join(args[0], NAME)
    program = _program()
    if program is None:
        return ctx.fail("Error: the program serfcompat is not installed beside this Python, nor found in PATH")
    try:
        os.symlink(program, link)
    except OSError as error:
        return ctx.fail(f"Error making {link}: {(error.strerror or str(error)).lower()}")
    ctx.print(f"Made {link}, a link to {program}")
    if shutil.which(NAME) != link:
        ctx.print(f"⚠ {args[0]} is not in PATH, or comes after another {NAME}")
    return 0


def _program() -> str | None:
    """The installed script that starts us."""
    beside = os.path.join(os.path.dirname(sys.executable), "serfcompat")
    return beside if os.access(beside, os.X_OK) else shutil.which("serfcompat")
