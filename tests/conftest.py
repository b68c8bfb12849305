"""Options of the whole suite."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Time is measured in benchmarks, on a quiet machine: here a busy one must not fail a law.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

# A job in the background of a shell ignores SIGINT, and so would every agent that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.statements", "tests.leaks"]
VECTORS = Path(__file__).parent / "vectors"


def pytest_addoption(parser: pytest.Parser) -> None:
    # Here, because only here it is known whether `tests` or `tests/vectors` is run.
    parser.addoption(
        "--vectors-dir",
        type=Path,
        default=VECTORS,
        metavar="DIR",
        help="where the *.jsonl of tests/vectors are read from",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a process of `pytest -n N --dist loadgroup`, keep a file's tests together, and those of tests/interop."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        together = item.path.parent if item.path.parent.name == "interop" else item.path
        item.add_marker(pytest.mark.xdist_group(str(together.relative_to(config.rootpath))))


@pytest.fixture(autouse=True)
def _no_limit_left_behind() -> Iterator[None]:
    """Agents inherit this process's limits: one that a test left behind would end those of others, much later."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    yield
    assert resource.getrlimit(resource.RLIMIT_AS) == before
