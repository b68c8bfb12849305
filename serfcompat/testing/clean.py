"""Remove what test clusters left behind on this machine: containers, networks, namespaces, processes.

python -m serfcompat.testing.clean           of runs whose runner is gone
python -m serfcompat.testing.clean --all     of running ones as well, which will fail
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from serfcompat.testing import containers, namespaces
from serfcompat.testing.runs import Run, ended, kill_leftovers, this_run


def clean(which: Callable[[Run], bool] = ended) -> list[str]:
    """Remove what these runs left behind; what was removed."""
    removed = kill_leftovers(which)
    removed += namespaces.clean(which)
    if not containers.why_not():
        removed += containers.clean(which)
    return removed


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="also what belongs to runs that go on")
    everything = parser.parse_args(arguments).all
    removed = clean((lambda run: run != this_run()) if everything else ended)
    print("\n".join(removed) if removed else "nothing was left behind")
    return 0


if __name__ == "__main__":
    sys.exit(main())
