"""Configuration and feature flags for every process, at once: feature_flags.py NAME ADDRESS [JOIN …]

    serf event flags '{"version": 8, "dark-mode": true}'

pushes the next version from any node, Go's as well. Whoever starts later, or was away, asks the others, now and
then all do; the highest version wins. Small things only: an event has room for some 500 bytes. For more, push
the version and an address to fetch it from. The user event `stop` ends it.
"""

import json
import sys

from serfcompat import Config, EventType, Serf

name, address, *join = sys.argv[1:]
ASK_EVERY = 60.0
flags = {"version": 0}


def take(payload):
    """Put a newer version in force. Anybody in the cluster may send anything: only a whole object counts."""
    global flags
    try:
        new = json.loads(payload or b"")
    except ValueError:
        return
    if isinstance(new, dict) and isinstance(new.get("version"), int) and new["version"] > flags["version"]:
        flags = new
        print("flags:", json.dumps(flags), flush=True)


def ask(serf):
    """Catch up with what the others have."""
    for answer in serf.query("flags"):
        take(answer.payload)


with Serf(Config.lan(node_name=name, bind_addr=address)) as serf:
    serf.on("query:flags", lambda query: serf.respond(query, json.dumps(flags).encode()))
    events = serf.events(["user"])
    if join:
        serf.join(join)
        ask(serf)
    print("ready", flush=True)
    while True:
        try:
            event = events.get(ASK_EVERY)
        except TimeoutError:
            ask(serf)
            continue
        if event.type is EventType.USER and event.name == "stop":
            break
        if event.name == "flags":
            take(event.payload)
    serf.leave()
