"""The fixtures, as a user's own tests see them."""

import re
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

GUIDE = Path(__file__).parents[2] / "docs" / "simulator.md"

FAILING = """
def test_wrong(sim_cluster):
    cluster = sim_cluster(3, seed="blue moon")
    cluster.crash("n2")
    cluster.run(2.5)
    assert cluster.sees("n1", "n2") == "failed"
"""


@pytest.fixture
def run(pytester):
    def run(source):
        pytester.makepyfile(source)
        installed = any(point.name == "serfcompat" for point in entry_points(group="pytest11"))
        named = () if installed else ("-p", "serfcompat.testing.plugin")
        return pytester.runpytest_subprocess(*named, "-p", "no:cacheprovider", "-q", timeout=200)

    return run


@pytest.mark.sim
@pytest.mark.socket
def test_the_guides_examples_pass_as_a_users_tests(run):
    examples = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    run("\n".join(examples)).assert_outcomes(passed=4)


@pytest.mark.sim
def test_a_failure_tells_the_seed_and_the_last_steps(run):
    result = run(FAILING)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*- simulated cluster -*", "seed blue moon, 3 nodes, 2.5 virtual seconds", "0.000000000 ! crash n2"]
    )
    result.stdout.fnmatch_lines(["*n1 timer gossip -> set gossip in 200ms*"])


def test_the_plugin_costs_nothing_until_it_is_used(run, pytester):
    code = (
        "import sys, serfcompat.testing.plugin; "
        "print([m for m in sys.modules if m.startswith(('gevent', 'serfcompat.'))])"
    )
    result = pytester.run(sys.executable, "-c", code)
    assert result.outlines == ["['serfcompat.testing', 'serfcompat.testing.plugin']"]


def test_pytest_finds_it_by_itself_once_installed():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"serfcompat": "serfcompat.testing.plugin"}
