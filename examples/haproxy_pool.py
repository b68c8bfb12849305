"""Keep HAProxy's servers as the cluster has them: haproxy_pool.py NAME ADDRESS LISTEN CONFIG JOIN [JOIN …]

LISTEN is where HAProxy takes requests (host:port), CONFIG the file that is rendered for it. Its servers are
the alive members whose tags are `role=web` and `port=…`. At each change the file is written anew, checked,
and HAProxy reloads it without dropping a connection. The user event `stop` ends both.
$HAPROXY names the program if it isn't in the path.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from serfcompat import Config, MemberStatus, Serf

name, address, listen, config, *join = sys.argv[1:]
haproxy, config = os.environ.get("HAPROXY", "haproxy"), Path(config)
QUIET = 0.3
"Seconds without another change before HAProxy reloads: members often come and go together."
HEAD = f"""\
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response
frontend web
    bind {listen}
    default_backend pool
backend pool
    balance roundrobin
    http-request disable-l7-retry unless METH_GET
"""


def servers(serf):
    """Lines of the pool. Whoever is in the cluster chose these names and tags: what isn't plain stays out."""
    for member in sorted(serf.members(status=MemberStatus.ALIVE, tags={"role": "web"}), key=lambda each: each.name):
        port = member.tags.get("port", "")
        if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", member.name) and re.fullmatch(r"[0-9]{1,5}", port):
            yield f"    server {member.name} {member.addr}:{port}\n"


def render(lines):
    """Replace the file, if HAProxy takes it."""
    new = config.with_suffix(".new")
    new.write_text(HEAD + "".join(lines))
    subprocess.run([haproxy, "-c", "-q", "-f", new], check=True)
    new.replace(config)
    print("servers:", " ".join(line.split()[1] for line in lines), flush=True)


with Serf(Config.lan(node_name=name, bind_addr=address)) as serf:
    events = serf.events(["member", "user:stop"])
    serf.join(join)
    known = list(servers(serf))
    render(known)
    proxy = subprocess.Popen([haproxy, "-W", "-db", "-f", config])
    try:
        changed = False
        while True:
            try:
                event = events.get(QUIET if changed else None)
            except TimeoutError:
                changed = False
                if (now := list(servers(serf))) != known:
                    known = now
                    render(known)
                    proxy.send_signal(signal.SIGUSR2)
                continue
            if str(event.type) == "user":
                break
            changed = True
    finally:
        proxy.terminate()
        proxy.wait()
    serf.leave()
