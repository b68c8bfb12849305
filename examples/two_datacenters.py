"""A gateway between datacenters: two_datacenters.py NAME DATACENTER LAN-ADDRESS WAN-ADDRESS KEY LAN-JOIN WAN-JOIN

Each datacenter is a cluster of its own with the timing of a LAN, so a bad line between them fails nobody. Its gateways
are also in one cluster with the timing of a WAN, on port 7947 and encrypted with KEY (base64, `serfcompat keygen`). The
event `global:deploy` of one datacenter, say east, is heard in all others as `east:deploy`; other events stay at home.
The oldest gateway of a datacenter passes events on; the others are there for when it fails. What it has just heard when
it fails may get lost, so repeat what matters.
LAN-JOIN and WAN-JOIN are members to join, or - for the first. The user event `stop` ends it.
"""

import base64
import sys

from serfcompat import Config, PayloadTooLarge, Serf

name, datacenter, lan_address, wan_address, key, lan_join, wan_join = sys.argv[1:]
tags = {"role": "gateway", "dc": datacenter}
lan = Serf(Config.lan(node_name=name, bind_addr=lan_address, tags=tags))
wan = Serf(
    Config.wan(
        node_name=f"{name}.{datacenter}",
        bind_addr=wan_address,
        bind_port=7947,
        tags=tags,
        secret_key=base64.b64decode(key),
    )
)


def leads():
    return lan.leader(tags={"role": "gateway"}).name == name


def pass_on(event, to, new_name):
    try:
        to.user_event(new_name, event.payload)
        print("passed on", new_name, flush=True)
    except PayloadTooLarge as error:
        print("not passed on:", error, flush=True)


def from_others(event):
    if not event.name.startswith(f"{datacenter}:") and leads():
        pass_on(event, lan, event.name)


with lan, wan:
    for serf, address in ((lan, lan_join), (wan, wan_join)):
        if address != "-":
            serf.join([address])
    events = lan.events(["user"])
    wan.on("user", from_others)
    print("gateway of", datacenter, flush=True)
    for event in events:
        if event.name == "stop":
            break
        if event.name.startswith("global:") and leads():
            pass_on(event, wan, f"{datacenter}:{event.name.removeprefix('global:')}")
    wan.leave()
    lan.leave()
