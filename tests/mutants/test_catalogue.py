"""A mutant that no longer fits the code proves nothing, so each is looked at on every test run."""

from __future__ import annotations

import re

import pytest

from tests.mutants.__main__ import PASSED, copy_project, run_tests, try_one
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ROOT, Mutant, StaleMutant
from tests.statements import checklist


def label(mutant: Mutant) -> str:
    return f"{mutant.file.removeprefix('serfcompat/')}: {mutant.rule}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=label)
def test_each_fits_the_code(mutant):
    assert mutant.right != mutant.wrong
    compile(mutant.applied(), mutant.file, "exec")
    for file in mutant.test_files:
        assert (ROOT / file).is_file(), f"{file} isn't there"
    assert set(re.findall(r"\b[MSA]-\d{3}\b", mutant.rule)) <= set(checklist())


def test_they_are_many_and_different():
    assert len({(mutant.file, mutant.right) for mutant in MUTANTS}) == len(MUTANTS) >= 20
    assert {mutant.file.split("/")[1] for mutant in MUTANTS} >= {"wire", "swim", "serf"}


@pytest.fixture
def project(tmp_path):
    """A project of one module and one test."""
    (tmp_path / "serfcompat" / "wire").mkdir(parents=True)
    (tmp_path / "serfcompat" / "wire" / "one.py").write_text("def one():\n    return 1 + 0\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_one.py").write_text(
        "from serfcompat.wire.one import one\ndef test_one(): assert one() == 1\n"
    )
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\nmarkers = ['interop', 'slow']\n")
    return tmp_path


def mutant(wrong: str, right: str = "1 + 0") -> Mutant:
    return Mutant("one is one", "serfcompat/wire/one.py", right, wrong, tests=["tests/test_one.py"])


@pytest.mark.parametrize(
    ("wrong", "caught", "why"),
    [("1 + 1", True, ""), ("1 - 0", False, "the tests pass"), ("1 +", False, "the tests could not be run")],
    ids=["caught", "survived", "no fault of a test"],
)
def test_a_fault_is_caught_only_if_a_test_fails(project, monkeypatch, wrong, caught, why):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    before = (project / "serfcompat/wire/one.py").read_text()
    assert run_tests(project, ["tests/test_one.py"])[0] == PASSED
    result = try_one(project, mutant(wrong))
    assert (result[0], result[1][: len(why)]) == (caught, why)
    assert (project / "serfcompat/wire/one.py").read_text() == before


@pytest.mark.parametrize("right", ["2 + 0", "n"], ids=["gone", "twice"])
def test_a_snippet_that_does_not_stand_there_once_is_an_error(project, right):
    with pytest.raises(StaleMutant, match="times instead of once"):
        mutant("0", right).applied(project)


def test_the_copy_has_what_the_tests_need(tmp_path):
    copy_project(tmp_path)
    for name in ("serfcompat/errors.py", "tests/conftest.py", "docs/spec/agent.md", "pyproject.toml"):
        assert (tmp_path / name).is_file()
