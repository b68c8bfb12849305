"""Write down what Go agents complain of among themselves, also now and then only: `go_alone.txt`.

    python -m tests.interop.record --runs 40
    python -m tests.interop.record --runs 0 --scenes 3

Adds to what is there. A class of complaint that is rare, because it takes a push/pull or a leave at the
wrong moment, need not turn up in the few Go-only clusters that run beside the tests.
"""

from __future__ import annotations

import argparse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.interop.cases import CASES, PER_VERSION, Case
from tests.interop.script import Outcome, Script

HERE = Path(__file__).parent
CLUSTERS, SCENES = HERE / "go_alone.txt", HERE / "go_alone_scenes.txt"
"What was seen in clusters that went through script.py, and in scenes."
HEAD = """\
# Classes of WARN and ERR lines of Go-only {what}, and how often.
# Version, number, class; `<version> <number> {what}` is how many there were.
# Added to by python -m tests.interop.record.
"""
AT_ONCE = 8


def recorded(version: str, file: Path = CLUSTERS) -> set[str]:
    """Classes that Go-only clusters of this version were seen with."""
    return {text for (of, text) in _read(file) if of == version}


def _read(file: Path) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                version, number, text = line.split(" ", 2)
                found[version, text] = int(number)
    return found


def _write(file: Path, found: Counter[tuple[str, str]], what: str) -> None:
    lines = [f"{version} {number} {text}\n" for (version, text), number in sorted(found.items())]
    file.write_text(HEAD.format(what=what) + "".join(lines), encoding="utf-8")


def _run(case: Case) -> Outcome:
    return Script(case.go, case.go, case.key).run()


def _scenes() -> list[Any]:
    """All that the tests play."""
    names = ("test_coordinates", "test_keys", "test_name_conflict", "test_snapshots")
    return [scene for name in names for scene in import_module(f"tests.interop.{name}").SCENES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40, help="clusters, of all cases in turn (40)")
    parser.add_argument("--scenes", type=int, default=0, help="performances of each scene and version (0)")
    options = parser.parse_args()
    runs: int = options.runs
    cases = [CASES[number % len(CASES)] for number in range(runs)]
    found = _read(CLUSTERS)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for case, outcome in zip(cases, pool.map(_run, cases), strict=True):
            found.update((case.version, text) for text in {*outcome.complaints, "clusters"})
            wrong = {step: text for step, text in outcome.steps.items() if text}
            print(f"{case}: {wrong or 'good'}", flush=True)
    _write(CLUSTERS, found, "clusters")
    plays = [(case, scene) for _ in range(options.scenes) for case in PER_VERSION for scene in _scenes()]
    found = _read(SCENES)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = pool.map(lambda play: play[1](play[0], play[0].go), plays)
        for (case, scene), complaints in zip(plays, seen, strict=True):
            found.update((case.version, text) for text in {*complaints, "scenes"})
            print(f"{case}: {scene.func.__name__} {scene.keywords}", flush=True)
    _write(SCENES, found, "scenes")


if __name__ == "__main__":
    main()
