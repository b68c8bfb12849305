"""The fixture `mixed_cluster`, in a project of its own that installed the built wheel and nothing of this tree."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytest_plugins = ["pytester"]
pytestmark = [pytest.mark.interop, pytest.mark.socket]

THEIR_TESTS = """
import serfcompat


def test_our_version_lives_among_gos(mixed_cluster):
    cluster = mixed_cluster(go="0.10.1:1", py=1, encrypt=True)
    heard = cluster.listen("py1")
    cluster["go1"].client.user_event("deploy", b"v2")
    assert heard.wait_for_user_event("deploy", limit=60).payload == b"v2"
    print("back end:", cluster.on, "from", serfcompat.__file__)
"""

THEIR_FAILING_TEST = """
def test_wrong(mixed_cluster):
    cluster = mixed_cluster(py=1, on="loopback")
    assert cluster.wait_until_whole() == {}
"""


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """This project as a wheel, built from a copy: nothing that is built lies in the project afterwards."""
    source = tmp_path_factory.mktemp("source")
    names = [str(path.relative_to(ROOT)) for path in (ROOT / "serfcompat").rglob("*") if path.is_file()]
    for name in [*names, "setup.py", "pyproject.toml", "README.md", "LICENSE"]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    into = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", into, source])
    return next(into.glob("serfcompat-*.whl"))


def test_the_wheel_has_what_images_are_made_of(wheel):
    assert "serfcompat/testing/images.toml" in zipfile.ZipFile(wheel).namelist()


def check_their_project(folder, python):
    """Run the tests of a project that knows nothing but that interpreter."""
    project = folder / "project"
    project.mkdir()
    (project / "test_theirs.py").write_text(THEIR_TESTS)
    peers = os.environ.get("SERFCOMPAT_PEERS") or ROOT / ".peers"
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON"))}
    out = run(
        [python, "-m", "pytest", "-rs", "-s", "-p", "no:cacheprovider", "test_theirs.py"],
        cwd=project,
        env=clean | {"SERFCOMPAT_PEERS": str(peers)},
    )
    if "1 skipped" in out:
        pytest.skip(out)
    assert "1 passed" in out
    assert f"from {site_of(python)}" in out


def site_of(python):
    """Where that interpreter's packages are."""
    return run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()


def test_a_project_that_installed_the_wheel_has_the_fixture(wheel, tmp_path):
    # What the wheel needs is taken from this environment: nothing is downloaded, and nothing of this tree is seen.
    run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"])
    python = tmp_path / "venv/bin/python"
    site = site_of(python)
    run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel])
    # Only the folder is named, behind the wheel's; a `sitecustomize` would not do, for Debian has one of its own.
    Path(site, "theirs.pth").write_text(f"import sys; sys.path.append({site_of(sys.executable)!r})\n")
    check_their_project(tmp_path, python)


@pytest.mark.slow
def test_a_project_that_installed_the_wheel_and_its_extra_with_pip_has_it_too(wheel, tmp_path):
    run([sys.executable, "-m", "venv", tmp_path / "venv"])
    python = tmp_path / "venv/bin/python"
    run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", f"{wheel}[interop]", "pytest"])
    check_their_project(tmp_path, python)


def test_a_failing_test_says_where_logs_and_packets_are(pytester):
    pytester.makepyfile(THEIR_FAILING_TEST)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q", timeout=200)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*- mixed cluster -*", "in loopback; logs and packets are in build/mixed/test_wrong-1", "---- <serfcompat*"]
    )
    assert "Log data will now stream" in (pytester.path / "build/mixed/test_wrong-1/py1.1.log").read_text()
