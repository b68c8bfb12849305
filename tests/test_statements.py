"""The counting of statements: only what really ran and passed may count."""

from __future__ import annotations

import json

import pytest

from tests import statements

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester, monkeypatch):
    """An empty project, without the plugins that this test run has."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini("[pytest]\nmarkers =\n    statement(*ids): proof\n")
    return pytester


@pytest.fixture
def proved(project):
    """Run a test file with the plugin; what it counts as proved."""

    def run(source: str) -> list[str]:
        project.makepyfile("import pytest\nproves = pytest.mark.statement\n" + source)
        project.runpytest_inprocess("-p", "tests.statements", "--statements=out/proved.json")
        return json.loads((project.path / "out" / "proved.json").read_text())["proved"]

    return run


def test_the_specifications_have_678_statements():
    known = statements.checklist()
    assert len(known) == 678
    assert known["M-001"].startswith("A lone message is sent bare")
    assert [sum(id.startswith(letter) for id in known) for letter in "MSA"] == [212, 204, 262]


def test_a_passed_test_proves_what_it_names(proved):
    assert proved("@proves('M-001', 'S-002')\ndef test_it(): pass\n") == ["M-001", "S-002"]


@pytest.mark.parametrize(
    "source",
    [
        "@proves('M-001')\ndef test_it(): assert False\n",
        "@proves('M-001')\ndef test_it(): pytest.skip('not now')\n",
        "@proves('M-001')\n@pytest.mark.skip(reason='not now')\ndef test_it(): pass\n",
        "@proves('M-001')\n@pytest.mark.xfail(strict=True)\ndef test_it(): assert False\n",
        "@proves('M-001')\n@pytest.mark.xfail(strict=False)\ndef test_it(): pass\n",
        "@pytest.fixture\ndef f():\n    yield\n    assert False\n@proves('M-001')\ndef test_it(f): pass\n",
        "@pytest.fixture\ndef f(): assert False\n@proves('M-001')\ndef test_it(f): pass\n",
    ],
    ids=["failed", "skips", "skipped", "xfail", "xpass", "teardown fails", "setup fails"],
)
def test_what_did_not_pass_proves_nothing(proved, source):
    assert proved(source) == []


def test_one_failure_outweighs_other_tests_of_the_same_statement(proved):
    source = "@proves('M-001')\n@pytest.mark.parametrize('n', [1, 2])\ndef test_it(n): assert n == 1\n"
    assert proved(source) == []


@pytest.mark.parametrize(
    ("marker", "complaint"),
    [
        ("'M-001', 'M-002', 'M-003', 'M-004', 'M-005'", "names 5 statements; 4 are the most"),
        ("'M-999'", "names 'M-999', which no checklist in docs/spec has"),
        ("", "has a statement marker without an id"),
    ],
)
def test_a_marker_that_cannot_be_right_stops_the_run(project, marker, complaint):
    project.makepyfile(f"import pytest\n@pytest.mark.statement({marker})\ndef test_it(): pass\n")
    result = project.runpytest_inprocess("-p", "tests.statements")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{complaint}*"])


def test_ids_of_one_test_count_once_over_all_its_markers(proved):
    source = "pytestmark = proves('M-001')\n@proves('M-001', 'M-002', 'M-003', 'M-004')\ndef test_it(): pass\n"
    assert proved(source) == ["M-001", "M-002", "M-003", "M-004"]


def test_the_summary_line():
    known = ["M-001", "M-002", "S-001", "A-001"]
    assert statements.summary(["M-002", "S-001"], known) == "statements: 2 of 4 (M 1/2, S 1/1, A 0/1)"


def test_figures_of_another_tree_are_not_shown(tmp_path, capsys):
    file = tmp_path / "proved.json"
    assert statements.main([str(file)]) == 2
    file.write_text(json.dumps({"fingerprint": "of other files", "proved": ["M-001"]}))
    assert statements.main([str(file)]) == 2
    assert capsys.readouterr().out == ""


def test_both_runs_of_one_tree_count(project, capsys, monkeypatch):
    project.makepyfile(
        "import pytest\n@pytest.mark.statement('M-001')\ndef test_it(): pass\n"
        "@pytest.mark.slow\n@pytest.mark.statement('M-002')\ndef test_long(): pass\n"
    )
    project.makeini("[pytest]\nmarkers =\n    statement(*ids): proof\n    slow: long\n")
    flags = ("-p", "tests.statements", "--statements=proved.json")
    file = project.path / "proved.json"

    def proved():
        return json.loads(file.read_text())["proved"]

    project.runpytest_inprocess(*flags, "-m", "not slow")
    assert proved() == ["M-001"]
    project.runpytest_inprocess(*flags)
    assert proved() == ["M-001", "M-002"]
    project.runpytest_inprocess(*flags, "-m", "not slow")  # later, it takes nothing away
    assert proved() == ["M-001", "M-002"]
    capsys.readouterr()
    assert statements.main([str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:-1] == ["make test proved 1", "make test-full proved 2"]
    monkeypatch.setattr(statements, "fingerprint", lambda: "of another tree")
    project.runpytest_inprocess(*flags, "-m", "not slow")
    assert proved() == ["M-001"]


def test_the_command_lists_what_is_missing(tmp_path, capsys):
    file = tmp_path / "proved.json"
    file.write_text(json.dumps({"fingerprint": statements.fingerprint(), "proved": ["M-001"]}))
    assert statements.main([str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("missing M-002 ")
    assert len(lines) == 678
    assert lines[-1] == "statements: 1 of 678 (M 1/212, S 0/204, A 0/262)"
