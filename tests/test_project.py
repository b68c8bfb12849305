"""What the repository promises about itself: its texts are true to its files, and its wheel needs no compiler."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.statements import checklist

ROOT = Path(__file__).resolve().parents[1]
TEXTS = sorted(path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md")])
DIFFERENCES = ROOT / "docs" / "design" / "differences.md"


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


# -- texts -----------------------------------------------------------------------------------------


def prose(text: str) -> str:
    """A text without its code, which may have brackets that are no links."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_links_lead_to_files_of_the_project(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text(encoding="utf-8"))):
        if "://" in target or target.startswith("#"):
            continue
        found = (path.parent / target.partition("#")[0]).resolve()
        assert found.is_relative_to(ROOT), target
        assert found.exists(), target


def differences() -> Iterator[list[str]]:
    for line in DIFFERENCES.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 5 and cells[0] != "id" and set(cells[0]) != {"-"}:
            yield cells


@pytest.mark.parametrize("row", list(differences()), ids=lambda row: f"{row[0]}: {row[1]}"[:60])
def test_each_difference_has_an_id_of_the_specification_and_a_proof_that_exists(row):
    id, *_, proof = row
    specs = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "spec").glob("*.md"))
    assert id == "–" or id in checklist() or re.search(rf"^\| {re.escape(id)} \|", specs, re.MULTILINE)
    file, _, test = proof.strip("`").partition("::")
    assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8") or not test


def test_there_are_differences_listed():
    assert len(list(differences())) > 15


def test_the_makefile_helps_with_every_target():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))
    phony = set(" ".join(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)).split())
    assert targets == phony == set(re.findall(r"^([a-z-]+):.*## \S", text, re.MULTILINE))
    wanted = "venv demo test test-full check bench fuzz statements mutants vectors clean help"
    assert targets >= set(wanted.split())


@pytest.mark.parametrize("script", ["ci/venv", "ci/run.sh", ".ci/run", "interop/fetch-peers"])
def test_scripts_can_be_run(script):
    assert os.access(ROOT / script, os.X_OK)


def test_the_change_log_has_a_place_for_what_comes():
    assert "\n## Unreleased\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# -- README and examples ---------------------------------------------------------------------------


def test_the_examples_of_the_readme_are_those_that_are_tested():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    wanted = ("cluster_view.py", "flask_page.py")
    assert blocks == [(ROOT / "examples" / name).read_text(encoding="utf-8") for name in wanted]


@pytest.mark.socket
def test_the_example_runs():
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "hello.py"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "web-2 sees web-1, web-2",
        "web-1 heard deploy b'v2.1'",
        "load of web-1 is b'0.3'",
        "load of web-2 is b'0.3'",
        "web-1 sees a member-leave of web-2",
    ]


# -- the wheel -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The project's wheel, built where there is no compiler."""
    project = tmp_path_factory.mktemp("project")
    for part in ("serfcompat", "pyproject.toml", "setup.py", "README.md", "LICENSE"):
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, project / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, project / part)
    pip("wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", "out", ".", cwd=project)
    (built,) = (project / "out").iterdir()
    return built


def pip(*arguments: str, cwd: Path) -> None:
    nothing = cwd / "no-programs"
    nothing.mkdir(exist_ok=True)
    environment = os.environ | {"PATH": str(nothing), "CC": "no-compiler", "CXX": "no-compiler"}
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_wheel_is_for_any_machine_and_complete(wheel):
    assert wheel.name.endswith("-py3-none-any.whl")
    files = set(zipfile.ZipFile(wheel).namelist())
    sources = (path for path in (ROOT / "serfcompat").rglob("*.py") if "__pycache__" not in path.parts)
    assert {str(path.relative_to(ROOT)) for path in sources} | {"serfcompat/py.typed"} <= files
    assert [file for file in files if file.endswith("LICENSE")]


def test_the_wheel_installs_without_a_compiler_and_runs(wheel, tmp_path):
    pip("install", "--quiet", "--no-deps", "--no-index", "--target", "site", str(wheel), cwd=tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "serfcompat", "keygen"],
        cwd=tmp_path / "site",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, len(done.stdout.strip())) == (0, 44), done
