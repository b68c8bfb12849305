"""What docs/migration.md tells operators to type is what the command line takes."""

from __future__ import annotations

import shlex
from importlib import import_module
from pathlib import Path

import pytest

from serfcompat.cli.main import COMMANDS, EXTENSIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
UNIT = (ROOT / "examples" / "systemd" / "serfcompat.service").read_text(encoding="utf-8")
LINES = [line for line in PAGE.split("```sh\n")[1].split("```")[0].splitlines() if line]
LINES += [line.partition("/bin/")[2] for line in UNIT.splitlines() if line.startswith("ExecStart=")]


@pytest.mark.parametrize("line", LINES)
def test_commands_are_taken(line):
    program, name, *arguments = shlex.split(line, comments=True)
    assert program == "serfcompat"
    assert name in {**COMMANDS, **EXTENSIONS}
    flags = import_module("serfcompat.cli." + name.replace("-", "_")).FLAGS
    if flags is not None:
        flags.parse(arguments)


def test_there_is_something_to_type():
    assert len(LINES) == 5
