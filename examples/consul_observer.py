"""Follow a Consul datacenter from inside its gossip: consul_observer.py NAME ADDRESS JOIN [JOIN …]

JOIN is the address of any Consul agent. The key of an encrypted pool, in base64, is read from the
variable CONSUL_ENCRYPT. `consul event -name=stop` ends the program, and Consul forgets it.
"""

import base64
import os
import sys

from serfcompat.contrib.consul import ConsulEvent, ConsulMemberEvent, Observer

name, address, *join = sys.argv[1:]
keys = [base64.b64decode(key) for key in [os.environ.get("CONSUL_ENCRYPT")] if key]

with Observer(join, name=name, bind_addr=address, keys=keys) as observer, observer.events() as events:
    for member in observer.members(status="alive"):
        print(member.kind, member.name, member.build, flush=True)
    for event in events:
        if isinstance(event, ConsulMemberEvent):
            print(event.type, ", ".join(member.name for member in event.members), flush=True)
        elif isinstance(event, ConsulEvent):
            print("event", event.name, (event.payload or b"").decode(errors="replace"), flush=True)
            if event.name == "stop":
                break
