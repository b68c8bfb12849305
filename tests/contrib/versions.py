"""Other versions of packages than those of the tests' environment, in folders of their own below `build/versions`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "build" / "versions"


def package(name: str, *requirements: str) -> Path:
    """A folder for PYTHONPATH with these packages, installed if need be; the test is skipped if that can't be."""
    folder = FOLDER / name
    done = folder / ".done"
    if not done.exists() or done.read_text() != repr(requirements):
        command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--upgrade"]
        got = subprocess.run(
            [*command, "--target", str(folder), *requirements], capture_output=True, text=True, timeout=240, check=False
        )
        if got.returncode != 0:
            pytest.skip(f"can't install {' '.join(requirements)}: {got.stderr.strip()[-300:]}")
        done.write_text(repr(requirements))
    return folder
