"""A server that forks its workers, each of them a member: prefork.py NAME ADDRESS WORKERS JOIN [JOIN …]

The node is started before the fork, as in a module that `gunicorn --preload` imports. The master keeps
it. A worker that uses it becomes a member of its own, on a free port, with the master's tags and
handlers. Without `on_fork="restart"` its first call would raise ForkedError. With many workers, consider
one agent per host and `serfcompat.rpc.client.Client` instead.
"""

import os
import sys

from serfcompat import Config, Serf

name, address, workers, *join = sys.argv[1:]
serf = Serf(Config.lan(node_name=name, bind_addr=address, tags={"role": "app"}), on_fork="restart").start()
serf.on("query:pid", lambda query: serf.respond(query, str(os.getpid()).encode()))
serf.join(join)

children = []
for _ in range(int(workers)):
    pid = os.fork()
    if pid == 0:
        print(f"worker {serf.local_member().name}\n", end="", flush=True)  # the first call, and so a member
        with serf.events(["user:stop"]) as events:
            events.get()
        serf.leave()
        serf.shutdown()
        os._exit(0)
    children.append(pid)

for pid in children:
    os.waitpid(pid, 0)
print("master", serf.local_member().name, "is", serf.local_member().status, flush=True)
serf.leave()
serf.shutdown()
