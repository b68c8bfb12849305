"""Watch a cluster of Prometheus Alertmanagers as a silent peer: alertmanager_peers.py NAME ADDRESS LABEL JOIN [JOIN …]

LABEL is that of `--cluster.label`, or - for none. The end of the input leaves.
"""

import sys

from serfcompat import Delegate, Memberlist, MemberlistConfig, NodeState

name, address, label, *join = sys.argv[1:]


class Watch(Delegate):
    """All of this runs inside the node's work: say it and return."""

    def notify_join(self, node):
        if node.name.decode() != name:
            print("+", node.address, flush=True)

    def notify_leave(self, node):
        print("-", node.address, "left" if node.state is NodeState.LEFT else "failed", flush=True)


config = MemberlistConfig.lan(
    name=name, bind_addr=address, bind_port=9094, label=b"" if label == "-" else label.encode()
)
with Memberlist(config, Watch()) as peers:
    peers.join(join)
    sys.stdin.read()
    peers.leave(timeout=5)
