"""Bytes printed by Go, one test per record: `pytest tests/vectors [--vectors-dir DIR]`.

How to write such tests:

* Mark them, or their module by `pytestmark`, with `@pytest.mark.vectors("packets")`, the name of a
  file without `.jsonl`. Keywords select records: `@pytest.mark.vectors("lzw", kind="encode")`.
* A marked test that has an argument `record` runs once for each of these records, which is a dict
  as README.md describes it. Its test id is the record's id.
* Several tests may share a record; it passes when all of them pass. A record that no test wants
  is an error: a new kind of record must not be left out in silence.
* `load(config, name)` gives all records of a file to tests that want them all at once.

A file that DIR doesn't have is skipped. The last line of the run, `vectors: N of N from DIR`, counts
records that passed and records in all.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

Record = dict[str, Any]

_records = pytest.StashKey[dict[str, list[Record]]]()
_wanted = pytest.StashKey[dict[str, set[str]]]()
_PROPERTY = "record"


def load(config: pytest.Config, name: str) -> list[Record]:
    """All records of `name`.jsonl in `--vectors-dir`, in order; none if it isn't there."""
    files = config.stash.setdefault(_records, {})
    if name not in files:
        directory: Path = config.getoption("--vectors-dir")
        if not directory.is_dir():
            raise pytest.UsageError(f"--vectors-dir: {directory} is not a directory")
        path = directory / f"{name}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        files[name] = [json.loads(line) for line in lines]
    return files[name]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "record" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("vectors")
    if marker is None or len(marker.args) != 1:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: say which file, as @pytest.mark.vectors(NAME)")
    (name,) = marker.args
    records = [
        record
        for record in load(metafunc.config, name)
        if all(record.get(key) == value for key, value in marker.kwargs.items())
    ]
    wanted = metafunc.config.stash.setdefault(_wanted, defaultdict(set))
    wanted[name].update(record["id"] for record in records)
    metafunc.parametrize("record", records, ids=lambda record: record["id"])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for name, ids in config.stash.get(_wanted, {}).items():
        left = [record["id"] for record in load(config, name) if record["id"] not in ids]
        if left:
            raise pytest.UsageError(f"{len(left)} records of {name}.jsonl have no test, {left[0]} among them")
    for item in items:
        if isinstance(item, pytest.Function) and "record" in item.fixturenames and item.get_closest_marker("vectors"):
            record = item.callspec.params["record"]
            if isinstance(record, dict):  # and not pytest's sign that there is none
                item.user_properties.append((_PROPERTY, record["id"]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    passed: dict[str, bool] = {}
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            for key, record in report.user_properties if isinstance(report, pytest.TestReport) else ():
                if key == _PROPERTY:
                    passed[record] = passed.get(record, True) and outcome in ("passed", "")
    if passed:
        directory = config.getoption("--vectors-dir")
        terminalreporter.write_line(f"vectors: {sum(passed.values())} of {len(passed)} from {directory}")
