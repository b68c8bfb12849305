"""`python -m serfcompat`: the command line."""

import sys

from serfcompat.cli.main import main

sys.exit(main())
