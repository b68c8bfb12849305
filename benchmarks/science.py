"""`python -m benchmarks.science`: the protocol on virtual time, beside published figures. Same seed, same figures."""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import science_detection, science_dissemination, science_lifeguard, science_load

PARTS = {
    "detection": lambda scale: science_detection.report(10_000 // scale),
    "dissemination": lambda scale: science_dissemination.report(500 // scale),
    "lifeguard": lambda scale: science_lifeguard.report(("7",)),
    "load": lambda scale: science_load.report(60 // scale),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.science", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="what to measure; default: all")
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    options = parser.parse_args()
    scale = 10 if options.quick else 1
    for name in options.parts or PARTS:
        began = time.perf_counter()
        print(f"\n{name}\n{'-' * len(name)}")
        for what, published, measured in PARTS[name](scale):
            print(f"{what:<76}  {published:<36}  {measured}")
        print(f"({time.perf_counter() - began:.0f} s)", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
