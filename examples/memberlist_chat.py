"""Chat over bare memberlist, without Serf: memberlist_chat.py NAME ADDRESS [JOIN …]

Each line of standard input goes to everybody; the end of the input leaves.
"""

import sys

from serfcompat import Delegate, Memberlist, MemberlistConfig, NodeState

name, address, *join = sys.argv[1:]


class Chat(Delegate):
    """All of this runs inside the node's work: say it and return."""

    def notify_msg(self, payload):
        print(payload.decode(), flush=True)

    def notify_join(self, node):
        print("*", node.name.decode(), "is here", flush=True)

    def notify_leave(self, node):
        print("*", node.name.decode(), "left" if node.state is NodeState.LEFT else "is gone", flush=True)


with Memberlist(MemberlistConfig.lan(name=name, bind_addr=address), Chat()) as chat:
    chat.join(join)
    for line in sys.stdin:
        for node in chat.members():
            if node.name.decode() != name:
                chat.send_reliable(node, f"{name}: {line.strip()}".encode())
    chat.leave(timeout=5)
