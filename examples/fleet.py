"""What a fleet of devices costs, and how soon it acts, before one is bought: fleet.py [DEVICES [SECONDS]]

Simulates so many devices (1000, for 40 seconds) that run the very protocol of production on virtual time, over a
network with 20 to 80 ms one way and 1 % loss. A command is sent to all of them after 3 s, and three break after 4 s.
Told is what each device sends per second, when the command had reached whom, and when the failures were known.
10,000 devices take some 28 s of a core for each second (19 minutes in all), and 1.5 GiB.
"""

import random
import resource
import sys
import time

from serfcompat.serf.events import UserEvent
from serfcompat.sim.measure import Measurement
from serfcompat.sim.scenario import read

devices = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 40
COMMAND_AT, BREAK_AT, BROKEN = 3, 4, ("n2", "n3", "n5")
FLEET = f"seed fleet\nnodes {devices} serf\nlatency 20ms..80ms\nloss 1%"

started = time.process_time()
measurement = Measurement()
cluster = read(FLEET).cluster(random.Random, [measurement])
measurement.follow(cluster)
heard, reached = [], set()


def on_event(device, event, at):
    if isinstance(event, UserEvent) and event.name == "update":
        heard.append(at - COMMAND_AT)
        reached.add(device)
        if len(reached | measurement.deaths.keys()) == devices:  # who broke before it came is nobody to reach
            half, most, last = (f"{heard[round(len(heard) * part) - 1]:.1f} s" for part in (0.5, 0.99, 1))
            say(f"the command had reached half of all after {half}, 99 % after {most}, all after {last}")


def say(line):
    print(line, flush=True)


def rate(first, last):
    """Bytes per second that a device sends in datagrams, and on streams."""
    sent = measurement.samples[last] - measurement.samples[first]
    return f"{sent.packet_bytes / devices / (last - first):.0f} + {sent.stream_bytes / devices / (last - first):.0f}"


cluster.on_event(on_event)
measurement.sample()
for second in range(1, seconds + 1):
    cluster.run(1)
    measurement.sample()
    if second == COMMAND_AT:
        say(
            f"{devices} devices send in peace, per second, on average {rate(1, second)} bytes in datagrams + on streams"
        )
        cluster.user_event("n1", "update", b"firmware 2.1")
    if second == BREAK_AT:
        for name in BROKEN:
            measurement.killed(name)
            cluster.crash(name)
    cost = (
        f"{time.process_time() - started:.0f} s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"
    )
    print(f"\r{second} of {seconds} s in {cost}", end="", file=sys.stderr, flush=True)
print(file=sys.stderr)
say(f"in all {rate(0, seconds)} bytes")
known = [death.dissemination_ns(devices - len(BROKEN)) for death in measurement.deaths.values()]
times = [f"{ns / 1e9:.1f} s" for ns in known if ns is not None]
say(f"failures known to all: {len(times)} of {len(BROKEN)}, after {', '.join(times)}")
say(f"false failures: {len(measurement.false_failures)}")
