"""A plain script with the member in its own process, where a second one is unwelcome: one_process.py NAME BIND JOIN DIR

It prints who is there, then each event `deploy`, and ends at an event `stop`. With it the member leaves the cluster.
DIR is for the member's snapshot, and where other processes of this host find it.
"""

import sys
import threading

from serfcompat.contrib import configure

name, bind, seed, directory = sys.argv[1:]
stopped = threading.Event()

serf = configure(in_process=True, run_dir=directory, node_name=name, bind=bind, retry_join=[seed], profile="local")
serf.on("deploy", lambda event: print("deployed", event.payload.decode(), flush=True))
serf.on("stop", lambda event: stopped.set())
print(*(member.name for member in serf.members()), flush=True)
stopped.wait()
