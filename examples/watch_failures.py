"""React to failures in a handler: watch_failures.py NAME ADDRESS JOIN [JOIN …]

The handler runs beside everything else, one event after the other, and may block: only its own events wait meanwhile.
What it raises is logged, and never stops the next one. The user event `stop` ends the program.
"""

import sys

from serfcompat import Config, Serf

name, address, *join = sys.argv[1:]


def on_failed(event):
    for member in event.members:
        role = member.tags.get("role", "member")
        left = serf.members(status="alive", tags={"role": role}) if role != "member" else []
        print("lost", role, member.name, "at", member.address, "-", len(left), "left", flush=True)


with Serf(Config.lan(node_name=name, bind_addr=address)) as serf:
    serf.on("member-failed", on_failed)
    stop = serf.events(["user:stop"])
    serf.join(join, ignore_old=True)
    print("watching", len(serf.members()), "members", flush=True)
    stop.get()
    serf.leave()
