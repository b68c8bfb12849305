"""Runs the tests of this package side by side: they mostly wait, for agents that mostly wait.

A test with the argument `case` is run once for each of `CASES`, or of `PER_VERSION` if it is marked so.
It uses no fixtures and runs in a thread of its own, so it starts and stops all that it needs; pytest
waits for each in turn and reports it as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.interop.cases import CASES, PER_VERSION
from tests.interop.runs import Runs

AT_ONCE = 6
"Tests that run at the same time; each has about five nodes, and the machine may have two cores."
_RUNNING = pytest.StashKey[dict[str, "Future[None]"]]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        per_version = metafunc.definition.get_closest_marker("per_version")
        metafunc.parametrize("case", PER_VERSION if per_version else CASES, ids=str)


@pytest.fixture(scope="session")
def clusters() -> Iterator[Runs]:
    """The clusters that go through the script, started now."""
    with Runs() as found:
        yield found


@pytest.fixture(scope="session", autouse=True)
def _side_by_side(request: pytest.FixtureRequest) -> Iterator[None]:
    """Starts what the tests of this package wait for, before the first of them."""
    mine = [item for item in request.session.items if item.path.parent == Path(__file__).parent]
    if any("clusters" in item.fixturenames for item in mine if isinstance(item, pytest.Function)):
        request.getfixturevalue("clusters")
    with ThreadPoolExecutor(AT_ONCE, "interop") as pool:
        request.session.stash[_RUNNING] = {
            item.nodeid: pool.submit(item.obj, **item.callspec.params)
            for item in mine
            if isinstance(item, pytest.Function) and "case" in item.fixturenames
        }
        yield
        pool.shutdown(cancel_futures=True)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Instead of calling the test, wait for the call that is under way."""
    if "case" not in pyfuncitem.fixturenames:
        return None
    pyfuncitem.session.stash[_RUNNING][pyfuncitem.nodeid].result()
    return True
