"""Join a cluster, show who is in it, and follow what happens: cluster_view.py NAME ADDRESS [JOIN …]"""

import sys

from serfcompat import Config, EventType, Serf

name, address, *join = sys.argv[1:]
with Serf(Config.lan(node_name=name, bind_addr=address)) as serf:
    events = serf.events(["member", "user"])
    serf.join(join, ignore_old=True)  # events from before we came are no news
    for member in serf.members():
        print(member.name, member.address, member.status, flush=True)
    for event in events:
        if event.type is EventType.MEMBER_FAILED:
            print("lost", ", ".join(member.name for member in event.members), flush=True)
        elif event.type is EventType.USER:
            print("heard", event.name, event.payload, flush=True)
            if event.name == "goodbye":
                serf.leave()
                break
