"""Counts the statements of docs/spec that tests prove: a pytest plugin, and the command behind `make statements`.

A test says what it proves with `@pytest.mark.statement("M-014")`, and then fails when that statement is
broken. Only tests that ran and passed count: a skip or an expected failure proves nothing, and one failure
outweighs any number of other tests that name the same statement.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_FILE = ROOT / "build" / "statements.json"
MOST_IDS = 4
"Ids that one test may name. A test that claims more proves none of them in particular."
LETTERS = {"M": "memberlist", "S": "serf", "A": "agent"}
"First letter of an id, and the specification whose checklist has it."

_ITEM = re.compile(r"^- ([MSA]-\d{3}) (.*)$", re.MULTILINE)
_RAN = pytest.StashKey["Ran"]()


def checklist(folder: Path = ROOT / "docs" / "spec") -> dict[str, str]:
    """All statements, id to text, in the order of the specifications."""
    found: dict[str, str] = {}
    for letter, name in LETTERS.items():
        items = _ITEM.findall((folder / f"{name}.md").read_text(encoding="utf-8"))
        found |= {id: text for id, text in items if id.startswith(letter)}
    return found


def ids_of(item: pytest.Item) -> list[str]:
    """The statements that a test names, each once."""
    return list(dict.fromkeys(id for mark in item.iter_markers("statement") for id in mark.args))


def complaints(item: pytest.Item, known: Iterable[str]) -> list[str]:
    """What is wrong with a test's statement markers."""
    ids = ids_of(item)
    found = [f"names {id!r}, which no checklist in docs/spec has" for id in ids if id not in known]
    if len(ids) > MOST_IDS:
        found.append(f"names {len(ids)} statements; {MOST_IDS} are the most that one test can prove")
    if not ids and any(item.iter_markers("statement")):
        found.append("has a statement marker without an id")
    return found


class Ran:
    """Outcomes of the tests that named statements."""

    def __init__(self) -> None:
        self._outcomes: dict[str, set[str]] = {}
        self._ids: dict[str, list[str]] = {}

    def add(self, report: pytest.TestReport) -> None:
        """Take one phase (setup, call or teardown) of one test."""
        ids = [value for name, value in report.user_properties if name == "statement"]
        if not ids:
            return
        self._ids[report.nodeid] = [str(id) for id in ids]
        outcome = "expected" if hasattr(report, "wasxfail") else report.outcome
        self._outcomes.setdefault(report.nodeid, set()).add(outcome)

    def proved(self) -> list[str]:
        """Statements that at least one passed test named, and no failed one."""
        passed: set[str] = set()
        failed: set[str] = set()
        for nodeid, outcomes in self._outcomes.items():
            if outcomes == {"passed"}:
                passed.update(self._ids[nodeid])
            elif "failed" in outcomes:
                failed.update(self._ids[nodeid])
        return sorted(passed - failed)


def fingerprint(root: Path = ROOT) -> str:
    """Changes with any file that a test run depends on."""
    digest = hashlib.sha256()
    for folder in ("serfcompat", "tests", "interop", "docs/spec"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(root)).encode() + b"\0")
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def summary(proved: Iterable[str], known: Iterable[str]) -> str:
    """The one line: `statements: 131 of 678 (M 114/212, S 17/204, A 0/262)`."""
    have, all_ = set(proved), list(known)
    counts, totals = Counter(id[0] for id in all_ if id in have), Counter(id[0] for id in all_)
    parts = ", ".join(f"{letter} {counts[letter]}/{totals[letter]}" for letter in LETTERS)
    return f"statements: {sum(counts.values())} of {len(all_)} ({parts})"


# -- the plugin ------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--statements",
        metavar="FILE",
        help="write to FILE which statements the tests that passed have proved; `make statements` reads it",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RAN] = Ran()
    config.pluginmanager.register(_Recorder(config.stash[_RAN]), "statement-recorder")


class _Recorder:
    """Hears each report. A hook of an object, because the report hook isn't told the configuration."""

    def __init__(self, ran: Ran) -> None:
        self._ran = ran

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._ran.add(report)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    known = checklist()
    errors = [f"{item.nodeid} {complaint}" for item in items for complaint in complaints(item, known)]
    if errors:
        raise pytest.UsageError("\n".join(errors))
    for item in items:
        item.user_properties += [("statement", id) for id in ids_of(item)]


def pytest_sessionfinish(session: pytest.Session) -> None:
    file = session.config.getoption("--statements")
    if not file or hasattr(session.config, "workerinput"):  # a worker of pytest-xdist sees only its share
        return
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    now = fingerprint()
    runs = _runs_of(path, now) | {_run_of(session.config): session.config.stash[_RAN].proved()}
    result = {"fingerprint": now, "runs": runs, "proved": sorted({id for proved in runs.values() for id in proved})}
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _run_of(config: pytest.Config) -> str:
    """`make test` leaves the slow tests out; what both prove of one tree counts together."""
    return "make test" if config.option.markexpr == "not slow" else "make test-full"


def _runs_of(path: Path, now: str) -> dict[str, list[str]]:
    """What earlier runs of this very tree proved."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    runs: dict[str, list[str]] = result.get("runs", {}) if result.get("fingerprint") == now else {}
    return runs


# -- the command -----------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """Print what is missing and the one line, from the last `make test`. Exit 2: there is none of this very tree."""
    path = Path(arguments[0]) if arguments else DEFAULT_FILE
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 2
    if result["fingerprint"] != fingerprint():
        return 2
    known = checklist()
    for id, text in known.items():
        if id not in result["proved"]:
            print(f"missing {id} {text}")
    for run, proved in result.get("runs", {}).items():
        print(f"{run} proved {len(proved)}")
    print(summary(result["proved"], known))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
