"""Many of our nodes in one process, to make a cluster large: `python -m benchmarks.crowd COUNT FIRST_HOST JOIN`.

Prints `ready` when all are members, and stays until its stdin is closed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from serfcompat.runtime.serf import Serf
from serfcompat.serf.config import Config


def main(arguments: Sequence[str]) -> int:
    """Each node gets an address of its own, counted up from FIRST_HOST; all join JOIN."""
    count, first, join = int(arguments[0]), arguments[1], arguments[2]
    network, _, number = first.rpartition(".")
    nodes = []
    for index in range(count):
        host = f"{network}.{int(number) + index}"
        config = Config.lan(node_name=f"crowd-{index}", bind_addr=host, bind_port=7946)
        nodes.append(Serf(config, home="inline").start())
        nodes[-1].join([join])
    print("ready", flush=True)
    from gevent.fileobject import FileObject

    FileObject(sys.stdin).read()
    for node in nodes:
        node.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
