"""Take hosts out of service and put them back, one after the other: rolling_deploy.py RPC COMMAND HOST [HOST …]

RPC is any agent of the cluster. COMMAND starts a host's server anew; `{}` in it is the host's name: "ssh {} sudo
systemctl restart web". A host is drained by the event `shutdown`, which a server with `serfcompat.contrib` obeys:
balancers see its tag `draining`, it leaves the cluster, and ends when its last request is answered.
"""

import shlex
import subprocess
import sys
import time

from serfcompat.rpc import Client

PATIENCE = 120.0
address, command, *hosts = sys.argv[1:]


def wait(client, host, status):
    """Until the cluster says so. A host that doesn't come back ends the deploy: the others are still there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = client.members_filtered(name=host, status=status)
        if found and (status == "left" or "draining" not in found[0].tags):
            return
        if time.monotonic() > deadline:
            sys.exit(f"{host} is not {status} after {PATIENCE:.0f} s: stopped; look at it, then go on with the rest")
        time.sleep(0.2)


with Client(address) as client:
    for host in hosts:
        client.user_event("shutdown", host.encode())
        wait(client, host, "left")
        print(f"{host} is out of service", flush=True)
        subprocess.run([word.replace("{}", host) for word in shlex.split(command)], check=True)
        wait(client, host, "alive")
        print(f"{host} is back", flush=True)
