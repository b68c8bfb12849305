"""A serfcompat agent with a fault: it hears that it is suspected, and keeps silent. For `make demo BREAK=no-refute`."""

from __future__ import annotations

import sys

from serfcompat.cli.main import main
from serfcompat.swim import claims
from serfcompat.swim.table import Membership


def keep_silent(_table: Membership, _accused: int) -> None:
    """Stands in for `claims.refute`."""


claims.refute = keep_silent
sys.exit(main())
