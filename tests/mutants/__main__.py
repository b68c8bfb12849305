"""`make mutants`: break some of the rules, one at a time, and count how many of the faults the tests catch.

All happens in a copy of the project. Exit status 1: a fault was not caught, a snippet is no longer in the
code, or the tests fail even without a fault.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import ROOT, Mutant, StaleMutant

COPIED = ("serfcompat", "tests", "docs/spec", "benchmarks", "pyproject.toml")
"What the tests need."
LIMIT = 180
"Seconds for one mutant's tests; a fault that makes them hang is caught as well."
PASSED, FAILED = 0, 1
"Exit statuses of pytest that say something about the tests; others mean that they could not be run."


def copy_project(into: Path) -> None:
    for name in COPIED:
        source, target = ROOT / name, into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, target)


def run_tests(project: Path, files: Sequence[str]) -> tuple[int, str]:
    """pytest's exit status and output. A run that takes too long counts as failed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not interop and not slow"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [*command, *files],
            cwd=project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return FAILED, f"still running after {LIMIT} s"
    return done.returncode, done.stdout


def uses_the_copy(project: Path) -> bool:
    """Whether tests in the copy import the copy, and not the project that is installed."""
    show = [sys.executable, "-c", "import serfcompat; print(serfcompat.__file__)"]
    done = subprocess.run(show, cwd=project, capture_output=True, text=True, check=True)
    return Path(done.stdout.strip()).is_relative_to(project)


def try_one(project: Path, mutant: Mutant) -> tuple[bool, str]:
    """Whether the tests catch the fault, and why not if they don't."""
    file = project / mutant.file
    right = file.read_text(encoding="utf-8")
    file.write_text(mutant.applied(project), encoding="utf-8")
    try:
        status, output = run_tests(project, mutant.test_files)
    finally:
        file.write_text(right, encoding="utf-8")
    if status == FAILED:
        return True, ""
    return False, "the tests pass" if status == PASSED else f"the tests could not be run:\n{output}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=12, help="how many are drawn (12); 0: all")
    parser.add_argument("--seed", type=int, default=1, help="of the draw (1)")
    parser.add_argument("--only", default="", help="those whose rule or file has this text")
    arguments = parser.parse_args()
    mutants = [mutant for mutant in MUTANTS if arguments.only in f"{mutant.file} {mutant.rule}"]
    if 0 < arguments.n < len(mutants):
        mutants = random.Random(arguments.seed).sample(mutants, arguments.n)
    with tempfile.TemporaryDirectory(prefix="mutants.") as folder:
        project = Path(folder).resolve()
        copy_project(project)
        try:
            for mutant in mutants:
                mutant.applied(project)
        except StaleMutant as error:
            print(f"mutants: {error}")
            return 1
        if not uses_the_copy(project):
            print("mutants: the tests would import the installed project instead of the copy")
            return 1
        files = sorted({file for mutant in mutants for file in mutant.test_files})
        status, output = run_tests(project, files)
        if status != PASSED:
            print(f"{output}\nmutants: the tests fail without any fault, so they would prove nothing")
            return 1
        survived = 0
        for mutant in mutants:
            began = time.monotonic()
            caught, why = try_one(project, mutant)
            survived += not caught
            word = "caught  " if caught else "SURVIVED"
            took = time.monotonic() - began
            print(f"{word} {took:5.1f} s  {mutant.file}: {mutant.rule}{': ' if why else ''}{why}", flush=True)
    print(f"mutants: {len(mutants) - survived} of {len(mutants)} caught (seed {arguments.seed})")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
