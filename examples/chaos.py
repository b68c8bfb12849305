"""Kill, freeze and cut off real agents at random, and check that the cluster recovers: chaos.py [ROUNDS [SEED]]

Three Go agents (serf 0.10.1) and three of ours in one encrypted cluster. In each round one or two of them meet
a fault, some seconds later it is over, and within a bound everybody must see everybody alive again, and hear
an event. The same SEED gives the same faults. Exit status 1, and everybody's log in a folder, if they don't.
$AGENTS, like `go=0.10.1:3,py=3`, chooses others; $ON containers, namespaces or loopback (docs/interop.md).
"""

import os
import random
import sys
import time

from serfcompat.testing.mixed import MixedCluster

rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1000)
agents = dict(each.split("=") for each in os.environ.get("AGENTS", "go=0.10.1:3,py=3").split(","))
agents = {program: int(number) if number.isdigit() else number for program, number in agents.items()}
RECOVERS = 75.0
"Seconds: a failure must be noticed, refuted or joined again, and a push/pull may be needed for what gossip lost."


def kill(cluster, victims):
    for each in victims:
        cluster.kill(each)
    return lambda: [cluster.restart(each) for each in victims]


def freeze(cluster, victims):
    for each in victims:
        cluster.pause(each)
    return lambda: [cluster.resume(each) for each in victims]


def cut_off(cluster, victims):
    cluster.partition(victims)
    return cluster.heal


print("seed", seed, flush=True)
dice = random.Random(seed)
with MixedCluster(**agents, encrypt=True, seed=seed, on=os.environ.get("ON", "auto")) as cluster:
    names = sorted(cluster.nodes)
    for number in range(1, rounds + 1):
        fault, victims = dice.choice([kill, freeze, cut_off]), sorted(dice.sample(names, dice.choice([1, 2])))
        lasts = dice.uniform(1.0, 8.0)
        print(f"round {number}: {fault.__name__} {' and '.join(victims)} for {lasts:.1f} s", flush=True)
        end = fault(cluster, victims)
        time.sleep(lasts)
        end()
        started = time.monotonic()
        cluster.wait_until_whole(limit=RECOVERS)
        print(f"round {number}: whole again after {time.monotonic() - started:.1f} s", flush=True)

        sender, *others = names
        event = f"round-{number}"
        listeners = [cluster.listen(name) for name in others]
        cluster[sender].client.user_event(event, b"all well?")
        for listener in listeners:
            listener.wait_for_user_event(event)
            listener.close()
        print(f"round {number}: all heard an event", flush=True)
print("recovered from all", flush=True)
