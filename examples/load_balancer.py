"""Keep a list of back ends from the cluster's view: load_balancer.py NAME ADDRESS ROLE JOIN [JOIN …]

The list is printed at each change of it: alive members whose tag `role` is ROLE, with the port of
their tag `port`. A member that fails is out as soon as the failure detector says so; one that
leaves, at once. The user event `stop` ends the program.
"""

import sys

from serfcompat import Config, MemberStatus, Serf

name, address, role, *join = sys.argv[1:]


def backends(serf):
    alive = serf.members(status=MemberStatus.ALIVE, tags={"role": role})
    return sorted(f"{member.addr}:{member.tags['port']}" for member in alive if "port" in member.tags)


with Serf(Config.lan(node_name=name, bind_addr=address)) as serf:
    events = serf.events(["member", "user:stop"])  # before the first look, so that no change is missed
    serf.join(join)
    known = backends(serf)
    print("back ends:", " ".join(known), flush=True)
    for event in events:
        if str(event.type) == "user":
            break
        if (now := backends(serf)) != known:
            known = now
            print("back ends:", " ".join(known), flush=True)
    serf.leave()
