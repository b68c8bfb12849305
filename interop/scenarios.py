"""Two long stories of a mixed cluster: a partition that heals, and an upgrade node by node under traffic.

    python -m interop.scenarios partition     3|3 for 60 s, then all views must agree again
    python -m interop.scenarios upgrade       Go → serfcompat → Go, with 20 events a second that nobody may miss
    python -m interop.scenarios upgrade --on namespaces

Each says what it found in one line; exit status 1 and the reason if it isn't as it must be.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from interop.matrix import INTO
from serfcompat.errors import SerfCompatError
from serfcompat.serf.events import UserEvent
from serfcompat.testing import backends
from serfcompat.testing.listener import Listener
from serfcompat.testing.mixed import MixedCluster
from serfcompat.testing.node import Node

PARTITION = 60.0
"Seconds that the network stays cut."
BOUND = 75.0
"Seconds from the heal until all views agree: a reconnect (every 30 s), a push/pull (every 30 s), and gossip."
RATE = 20.0
"Events a second."
CATCHES_UP = 30.0
"Seconds within which a node must have heard all that was sent; gossip takes less than one."


def partition(on: str = "auto", *, go: str = "0.9.4:1,0.10.1:2", py: str = "3", seconds: float = PARTITION) -> str:
    """Cut a cluster of six in two halves for a while. AssertionError, AgentError: it doesn't heal as it must."""
    with MixedCluster(go=go, py=int(py), on=on, keep=INTO / "failures") as c:
        names = list(c.nodes)
        halves = names[0::2], names[1::2]  # some of each kind in either, where there are two kinds
        c.partition(*halves)
        cut = time.monotonic()
        for here, there in (halves, halves[::-1]):
            c.wait_for(dict.fromkeys(there, "failed") | dict.fromkeys(here, "alive"), at=here, limit=seconds)
        seen = time.monotonic() - cut
        threading.Event().wait(max(0.0, seconds - seen))  # this long is what is tried
        for here, there in (halves, halves[::-1]):
            c.wait_for(dict.fromkeys(there, "failed") | dict.fromkeys(here, "alive"), at=here, limit=1.0)
        c.heal()
        healed = time.monotonic()
        c.wait_until_whole(limit=BOUND)
        whole = time.monotonic() - healed
        return (
            f"{c.on}: {'+'.join(halves[0])} | {'+'.join(halves[1])} for {seconds:.0f} s, "
            f"seen by all after {seen:.0f} s; healed, all views agree after {whole:.1f} s (bound {BOUND:.0f} s)"
        )


@dataclass
class Life:
    """A node in service: it must hear every event from `first` on."""

    node: Node
    listener: Listener
    first: int

    def numbers(self) -> set[int]:
        """Numbers of the events that it heard."""
        return {
            int(event.name.removeprefix("event-"))
            for event in self.listener.heard
            if isinstance(event, UserEvent) and event.name.startswith("event-")
        }


class Traffic:
    """Sends events, numbered from 0, by the nodes in service in turn."""

    def __init__(self) -> None:
        self.senders: list[Node] = []
        self.sent = 0
        self.error: Exception | None = None
        self.lock = threading.Lock()
        "Held while an event is sent: whoever has it knows that none is under way."
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due += 1 / RATE
            try:
                with self.lock:
                    node = self.senders[self.sent % len(self.senders)]
                    node.client.user_event(f"event-{self.sent}", b"x" * 20)
                    self.sent += 1
            except (SerfCompatError, OSError) as error:
                self.error = error
                return


def upgrade(on: str = "auto", *, go: str = "0.10.1:4") -> str:
    """Replace each node of a Go cluster by ours, and each again by Go's. AssertionError: something was lost.

    ⚠ Four nodes, since each tells a message four times, three of them at once: all others hear it from everybody.
    Among five, one in some hundred messages misses somebody, also among Go agents alone; a push/pull every 30 s
    makes up for that only while the message is one of the last 512.
    """
    version = go.partition(":")[0]
    with MixedCluster(go=go, on=on, keep=INTO / "failures") as c:
        traffic = Traffic()
        lives = {name: Life(node, c.listen(node), 0) for name, node in c.nodes.items()}
        traffic.senders = [life.node for life in lives.values()]
        began = time.monotonic()
        listeners = [life.listener for life in lives.values()]
        deliveries = 0
        traffic.start()
        try:
            for program, wanted in (("py", 1), ("go", version)):
                for name in list(c.nodes):
                    life = lives.pop(name)
                    with traffic.lock:
                        traffic.senders.remove(life.node)
                        sent = traffic.sent
                    deliveries += _check(life, sent)
                    c.leave(name)
                    c.restart(name, program=program, version=wanted)
                    c.wait_until_whole()
                    listener = c.listen(name)
                    listeners.append(listener)
                    with traffic.lock:
                        lives[name] = Life(c[name], listener, traffic.sent)
                        traffic.senders.append(c[name])
                    assert traffic.error is None, traffic.error
        finally:
            traffic.stop()
        seconds = time.monotonic() - began
        deliveries += sum(_check(life, traffic.sent) for life in lives.values())
        failed = [str(event) for listener in listeners for event in listener.heard if str(event) == "member-failed"]
        failed += [line for node in [*c.past, *c.nodes.values()] for line in node.log if "EventMemberFailed" in line]
        assert not failed, failed
        assert traffic.error is None, traffic.error
        rate = traffic.sent / seconds
        return (
            f"{c.on}: {len(c.nodes)} nodes, serf {version} → serfcompat → serf {version}, "
            f"one by one in {seconds:.0f} s; {traffic.sent} events sent ({rate:.1f}/s), "
            f"{deliveries} deliveries due to nodes that were up, 0 lost, 0 failed events"
        )


def _check(life: Life, end: int) -> int:
    """How many events, from the node's first to before `end`, it was due; it has heard all of them."""
    due = set(range(life.first, end))

    def right(heard: set[int]) -> bool:
        return heard >= due

    life.node.wait_until(
        life.numbers, right, lambda heard: f"missed events {sorted(due - heard)} of {len(due)}", limit=CATCHES_UP
    )
    return len(due)


SCENARIOS: dict[str, Callable[[str], str]] = {"partition": partition, "upgrade": upgrade}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", choices=list(SCENARIOS))
    parser.add_argument("--on", choices=[*backends.NAMES, "auto"], default="auto", help="the back end (auto)")
    given = parser.parse_args(arguments)
    try:
        print(f"{given.scenario}: {SCENARIOS[given.scenario](given.on)}")
    except (SerfCompatError, AssertionError) as error:
        print(f"{given.scenario}: {error}", *getattr(error, "__notes__", ()), sep="\n", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
