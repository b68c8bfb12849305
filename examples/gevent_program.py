"""A node among the greenlets of a gevent program: gevent_program.py NAME ADDRESS JOIN [JOIN …]

It finds out by itself that it runs under gevent, and lives on the program's own hub: no thread is started.
Handlers that are registered with `on` get a greenlet each, and may block.
"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

import gevent  # noqa: E402
from gevent.event import Event  # noqa: E402

from serfcompat import Config, Serf  # noqa: E402

name, address, *join = sys.argv[1:]
stop = Event()


def answer_load(query):
    gevent.sleep(0.01)  # a look at something slow; the node goes on meanwhile
    serf.respond(query, b"0.25")


with Serf(Config.lan(node_name=name, bind_addr=address)) as serf:
    serf.on("query:load", answer_load)
    serf.on("user:stop", lambda event: stop.set())
    serf.join(join)
    others = [gevent.spawn(serf.cached_coordinate, member.name) for member in serf.members()]
    gevent.joinall(others, raise_error=True)
    print("asked for", len(others), "coordinates at once", flush=True)
    stop.wait()
    serf.leave()
print("left", flush=True)
