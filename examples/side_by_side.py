"""One program in a Consul datacenter and in a Serf cluster: side_by_side.py NAME ADDRESS CONSUL SERF

CONSUL and SERF are members to join. Each `consul event -name=NAME` is passed on to the Serf cluster as the user event
`consul:NAME`, and the tags of this member say how many Consul agents are alive, so that Serf's members can look it up.
The two gossip apart: Consul on port 8301, Serf on 7946. `consul event -name=stop` ends it.
"""

import sys

from serfcompat import Config, Serf
from serfcompat.contrib.consul import ConsulEvent, ConsulMemberEvent, Observer

name, address, consul, join = sys.argv[1:]
observer = Observer([consul], name=name, bind_addr=address)
serf = Serf(Config.lan(node_name=name, bind_addr=address))


def tags():
    agents = [member for member in observer.members(status="alive") if member.name != name]
    return {"role": "consul-bridge", "agents": str(len(agents))}


with observer, serf, observer.events() as events:
    serf.set_tags(tags())
    serf.join([join])
    print("bridge in", observer.members()[0].datacenter, flush=True)
    for event in events:
        if isinstance(event, ConsulMemberEvent):
            if serf.local_member().tags != (now := tags()):
                serf.set_tags(now)
        elif isinstance(event, ConsulEvent):
            serf.user_event(f"consul:{event.name}", event.payload)
            if event.name == "stop":
                break
    serf.leave()
