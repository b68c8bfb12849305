"""One node, many threads: threads.py NAME ADDRESS JOIN [JOIN …]

The node lives in a thread of its own, so it answers the cluster while these threads block or compute.
Every call may be made from any of them, and each subscription is independent.
"""

import sys
import threading

from serfcompat import Config, Serf

name, address, *join = sys.argv[1:]


def worker(serf, number):
    with serf.events(["user:job"]) as jobs:
        ready.wait()
        for job in jobs:  # each worker hears of every job, and takes every third one
            if int(job.payload) % 3 == number:
                serf.user_event("done", b"%d by worker %d" % (int(job.payload), number))


ready = threading.Barrier(4)
with Serf(Config.lan(node_name=name, bind_addr=address)) as serf:
    workers = [threading.Thread(target=worker, args=(serf, number)) for number in range(3)]
    for each in workers:
        each.start()
    ready.wait()
    with serf.events(["user:done", "user:stop"]) as events:
        serf.join(join)
        print("ready", flush=True)
        for event in events:
            if event.name == "stop":
                break
            print("done:", event.payload.decode(), flush=True)
    serf.leave()
# Leaving the `with` block ends all subscriptions, and so the workers.
for each in workers:
    each.join()
