"""`serfcompat install-alias`, and being called `serf`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agents import OURS, run_serf

pytestmark = [
    pytest.mark.socket,
    pytest.mark.skipif(
        not os.access(Path(sys.executable).with_name("serfcompat"), os.X_OK), reason="serfcompat is not installed"
    ),
]


def test_a_link_called_serf_has_exactly_the_commands_of_serf(tmp_path):
    ran = run_serf(OURS, "install-alias", str(tmp_path))
    assert ran.code == 0, ran
    assert ran.out.startswith(f"Made {tmp_path}/serf, a link to ")
    done = subprocess.run([tmp_path / "serf"], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 127
    assert len(done.stderr.splitlines()) == 19
    assert done.stderr.endswith("Shows the version\n\n")


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "serf").write_text("precious")
    ran = run_serf(OURS, "install-alias", str(tmp_path))
    assert (ran.code, ran.out) == (1, f"Error making {tmp_path}/serf: file exists\n")
    assert (tmp_path / "serf").read_text() == "precious"


@pytest.mark.parametrize("args", [[], ["a", "b"]])
def test_one_directory_is_needed(args):
    ran = run_serf(OURS, "install-alias", *args)
    assert ran.code == 1
    assert ran.out.startswith("A directory for the link must be specified.\n\nUsage: serfcompat install-alias DIR\n")
