"""The conformance kit on all that it must agree with: Go's agents (control), ours, the mutants, and 200 scripts.

    python -m interop.conformance [--quick]

exit status: 0 as it should be; 1 not
"""

from __future__ import annotations

import argparse
import sys

from interop.mutants.check import main as check_mutants
from serfcompat.cli.main import main as command_line

FLAGS = "agent -node={name} -bind={bind} -rpc-addr={rpc} {extra}"
RELEASES = {"0.9.4": "0.2.2", "0.10.1": "0.5.0"}
"memberlist in each serf of Debian."
SCRIPTS = 200
OURS = f"{sys.executable} -m serfcompat {FLAGS}"


def go(version: str) -> str:
    """The command of a Go agent."""
    return f".peers/serf-{version}/serf {FLAGS}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the kit alone, without mutants and scripts")
    quick: bool = parser.parse_args().quick
    wrong = [
        command_line(["conformance", f"-impl={go(version)}", f"-as={release}"]) for version, release in RELEASES.items()
    ]
    wrong.append(command_line(["conformance", f"-impl={OURS}"]))
    if not quick:
        sys.argv[1:] = []
        wrong.append(check_mutants())
        against = f"-against={go('0.10.1')}"
        wrong.append(command_line(["conformance", f"-differential={SCRIPTS}", "-seed=1", against, f"-impl={OURS}"]))
    return int(any(wrong))


if __name__ == "__main__":
    sys.exit(main())
