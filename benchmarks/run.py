"""Measure the cases of `go.json` here, and print Go's figure and ours side by side."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from benchmarks import codec, crypto, lzw, packet, push_pull, queue, vivaldi, yardstick
from benchmarks.case import Case, measure
from benchmarks.inputs import Inputs
from benchmarks.report import Figure, GoCase, Run, as_json, as_markdown, as_text, go_cases

AREAS = (codec, lzw, crypto, packet, push_pull, queue, vivaldi)
"One file each; a new one needs a line here and its rows in `go.json`."


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    rows = {row.number: row for row in go_cases()}
    try:
        wanted = set(_selected(options.only, rows.values())) if options.only else set(rows)
    except ValueError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    speeds = [yardstick.seconds(options.repeat)]
    figures = []
    for case in _cases(wanted):
        row = rows[case.number]
        _progress(f"{case.number:>2}  {row.name} {case.variant}")
        taken = measure(case, repeats=options.repeat, seconds=options.seconds)
        figures.append(Figure(row, case.variant, [second * 1e6 for second in taken]))
    speeds.append(yardstick.seconds(options.repeat))
    _progress("")
    run = Run(figures, min(speeds) * 1e6, options.repeat)
    print(as_markdown(run) if options.markdown else as_text(run))
    if not options.only or options.json != _DEFAULT_JSON:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(as_json(run), indent=1) + "\n", encoding="utf-8")
    return 0


def _progress(text: str) -> None:
    """Say on a terminal what is being measured."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


_DEFAULT_JSON = Path("build/bench.json")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="LIST", help="numbers, ranges and areas, such as 1-9,lzw,26")
    parser.add_argument("--repeat", type=int, default=7, metavar="N", help="repeats of each case (7)")
    parser.add_argument("--seconds", type=float, default=0.1, metavar="S", help="length of each repeat (0.1)")
    parser.add_argument("--markdown", action="store_true", help="print a table for docs/benchmarks.md")
    parser.add_argument(
        "--json",
        type=Path,
        default=_DEFAULT_JSON,
        metavar="PATH",
        help="where the figures go (build/bench.json, which a run with --only leaves alone)",
    )
    return parser


def _cases(wanted: set[int]) -> Iterator[Case]:
    inputs = Inputs()
    found = [case for area in AREAS for case in area.cases(inputs) if case.number in wanted]
    yield from sorted(found, key=lambda case: case.number)


def _selected(text: str, rows: Collection[GoCase]) -> Iterator[int]:
    """The numbers that `--only` means."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (not last or last.isdigit()):
            numbers = list(range(int(first), int(last or first) + 1))
        else:
            numbers = [row.number for row in rows if row.area == part]
        known = {row.number for row in rows}
        if not numbers or not known.issuperset(numbers):
            areas = ", ".join(dict.fromkeys(row.area for row in rows))
            raise ValueError(f"--only {part}: neither a number from 1 to {max(known)} nor one of {areas}")
        yield from numbers


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
