"""The command: runs the workers, shows how far they are, and says what failed."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from serfcompat.errors import WireError
from tests.fuzz.processes import Plan, run
from tests.fuzz.targets import targets
from tests.fuzz.worker import Tally, limited_memory, target_of

SHOW_EVERY = 5.0
"Seconds between two lines of progress."


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.replay is not None:
        return _replay(options.replay)
    if not targets(options.only):
        print(f"fuzz: no target has {options.only!r} in its name", file=sys.stderr)
        return 2
    plan = Plan(options.n, options.seed, options.only, options.processes)
    total = Tally()
    began = shown = time.monotonic()
    for part in run(plan):
        total.add(part)
        if (now := time.monotonic()) - shown >= SHOW_EVERY:
            shown = now
            print(
                f"fuzz: {total.inputs} of {plan.count}, {total.failures} failures, "
                f"{total.inputs / (now - began):.0f}/s, largest process {total.peak >> 20} MiB",
                flush=True,
            )
    _tell(total, plan)
    print(f"fuzz: {total.inputs} inputs, {total.failures} failures, seed {plan.seed}", flush=True)
    return 1 if total.failures or total.inputs < plan.count else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000, help="how many inputs (1000000)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (1)")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="how many at a time (2)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only targets that have this in their name")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="try one kept input again")
    return parser


def _tell(total: Tally, plan: Plan) -> None:
    print(f"\n{'target':32} {'inputs':>8} {'accepted':>9}")
    for target in targets(plan.only):
        accepted, refused = total.accepted[target.name], total.refused[target.name]
        share = f"{100 * accepted / (accepted + refused):.0f} %" if accepted + refused else ""
        print(f"{target.name:32} {accepted + refused:>8} {share:>9}")
    print("\nslowest, in CPU time:")
    for slow in total.slowest:
        print(f"  {1000 * slow.seconds:6.1f} ms  {slow.target}, number {slow.number}, {slow.size} bytes")
    print(f"largest process: {total.peak >> 20} MiB")
    for line in total.told.values():
        print(f"\nFAILED {line}")
    print()


def _replay(path: Path) -> int:
    """Try an input; nothing but a refusal is caught."""
    target = target_of(path, targets())
    began = time.process_time()
    try:
        with limited_memory():
            target.run(path.read_bytes())
    except WireError as error:
        outcome = f"refused: {error}"
    else:
        outcome = "accepted"
    print(f"fuzz: {target.name}: {outcome}, in {1000 * (time.process_time() - began):.1f} ms of CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
