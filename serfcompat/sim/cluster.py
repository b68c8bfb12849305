"""`Cluster`: a whole cluster in one thread, on virtual time, from one seed.

The engines are those that run in production; only sockets and clocks are replaced. All
of it is callbacks: nothing here sleeps, and a minute of a small cluster passes in
well under a second.

    cluster = Cluster(5, seed=7, dice=random.Random)
    cluster.run(10)
    cluster.crash("n4")
    seconds = cluster.until(lambda: all(cluster.sees(n, "n4") == "failed" for n in cluster.running))
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from serfcompat.errors import DeadlineExceeded, UsageError
from serfcompat.serf.config import Config
from serfcompat.serf.engine import SerfEngine
from serfcompat.serf.queries import QueryParams
from serfcompat.sim.answers import Answers
from serfcompat.sim.clock import EXACT, HostClock
from serfcompat.sim.converged import ConvergedTable
from serfcompat.sim.driver import Driver
from serfcompat.sim.host import Host, Template
from serfcompat.sim.impairments import Changed, HostLoss, Impairment, Unplugged, one_way
from serfcompat.sim.impairments import sides as cut_into
from serfcompat.sim.network import Conditions, Network
from serfcompat.sim.observer import Observer
from serfcompat.sim.units import SECOND, duration_text, share_text
from serfcompat.swim.config import seconds_to_ns
from serfcompat.swim.dice import Dice
from serfcompat.swim.effects import SetTimer
from serfcompat.wire.address import Address

Start = Literal["converged", "joining", "apart"]
"""How a cluster begins: everybody knows everybody; all join the first at once; or nobody knows anybody."""

PORT = 7946
_RETRY_JOIN_NS = 5 * SECOND
"How long a restarted node waits after a join that reached nobody."


class Cluster:
    """Simulated hosts, the network between them, and everything that can go wrong."""

    def __init__(
        self,
        nodes: int | Sequence[str] = 5,
        *,
        seed: int | str = 0,
        dice: Callable[[str], Dice],
        config: Template | None = None,
        conditions: Conditions | None = None,
        start: Start = "converged",
        snapshots: bool = False,
        observers: Iterable[Observer] = (),
    ) -> None:
        """Everything starts at time 0; nothing happens before `run` or `until`.

        Args:
            nodes: How many, named n1, n2 …; or their names.
            dice: Makes dice from a text, always the same from the same: `random.Random`.
            config: For all nodes; its type chooses the level. None: Serf with LAN defaults.
            snapshots: Whether nodes keep snapshots on their simulated disks (Serf level only).
        """
        self.seed = seed
        self.config: Template = config if config is not None else Config.lan()
        self.snapshots = snapshots and isinstance(self.config, Config)
        self.network = Network(conditions or Conditions())
        self.driver = Driver(self.network)
        for observer in observers:
            self.watch(observer)
        self._make_dice = dice
        self._tokens = itertools.count(1)
        self._addresses = itertools.count(1)
        for name in [f"n{i}" for i in range(1, nodes + 1)] if isinstance(nodes, int) else nodes:
            self._add(name)
        self._begin(start)

    # -- looking ------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Host:
        """A host by name. Raises UsageError if there is none."""
        try:
            return self.driver.hosts[name]
        except KeyError:
            raise UsageError(f"there is no host {name} in this cluster") from None

    @property
    def hosts(self) -> list[Host]:
        return list(self.driver.hosts.values())

    @property
    def running(self) -> list[str]:
        """Names of the hosts on which a node runs, paused ones included."""
        return [host.name for host in self.driver.hosts.values() if host.running]

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return self.driver.agenda.now_ns / SECOND

    def sees(self, observer: str, name: str) -> str:
        """What one node thinks of another: `alive`, `suspect`, `dead`, `left`, `unknown`; see `Host.view`."""
        return self[observer].sees(name)

    def view(self, observer: str) -> dict[str, str]:
        return self[observer].view()

    @property
    def converged(self) -> bool:
        """Whether every running node sees exactly the running ones as alive."""
        running = set(self.running)
        return all(
            {member for member, state in self[name].view().items() if state == "alive"} == running for name in running
        )

    def on_event(self, listener: Callable[[str, Any, float], None]) -> None:
        """Call `listener(node, event, seconds)` for each event that a node would deliver to its application.

        Serf events at the Serf level, SWIM events at the memberlist level. Called in the middle of a step.
        """
        self.driver.listeners.append(lambda host, event, now_ns: listener(host.name, event, now_ns / SECOND))

    def watch(self, observer: Observer) -> None:
        """Let somebody watch from now on."""
        observer.attach(self.driver)
        self.driver.observers.append(observer)

    # -- time ---------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.driver.agenda.run(self.driver.agenda.now_ns + seconds_to_ns(seconds))

    def until(self, condition: Callable[[], object], within: float = 60.0, *, every: float = 0.05) -> float:
        """Let time pass until something holds; returns the time.

        Args:
            every: It is looked at so often, in seconds; 0: after each step, which in large clusters takes long.

        Raises:
            DeadlineExceeded: It did not come about within so many seconds.
        """
        agenda, every_ns = self.driver.agenda, seconds_to_ns(every)
        end_ns = agenda.now_ns + seconds_to_ns(within)
        while not condition():
            if agenda.now_ns >= end_ns:
                raise DeadlineExceeded(f"it did not come about within {within} s (seed {self.seed})")
            if every_ns:
                agenda.run(min(agenda.now_ns + every_ns, end_ns))
            else:
                agenda.step(end_ns)
        return self.now

    def after(self, seconds: float, function: Callable[[], None]) -> None:
        """Call a function when so much time has passed."""
        self.driver.agenda.after(seconds_to_ns(seconds), function)

    # -- hosts --------------------------------------------------------------------------------

    def crash(self, name: str) -> None:
        """End a node's process without a word, as SIGKILL does."""
        self._note(f"crash {name}")
        self.driver.stop(self[name])

    def restart(self, name: str, *, moved: bool = False, via: str | None = None) -> None:
        """Start a node again, on the same or (`moved`) another address, and let it join until that works.

        Args:
            via: Whom to join; None: the first other node that runs. Without any it starts alone.
        """
        self._note(f"restart {name}{' moved' if moved else ''}{f' via {via}' if via else ''}")
        host = self[name]
        if host.running:
            self.driver.stop(host)
        if moved:
            del self.driver.at_address[host.address]
            host.address = self._next_address()
            self.driver.at_address[host.address] = host
        self._start(host)
        self._join_until_it_works(host, host.life, via)

    def pause(self, name: str) -> None:
        """Stop a process as SIGSTOP does: what comes meanwhile waits for it."""
        self._note(f"pause {name}")
        self.driver.pause(self[name])

    def resume(self, name: str) -> None:
        self._note(f"resume {name}")
        self.driver.resume(self[name])

    def stall(self, name: str) -> None:
        """Let a node's input and output stall, as on an overloaded machine: it thinks on, deaf and mute."""
        self._note(f"stall {name}")
        self.driver.stall(self[name])

    def go_on(self, name: str) -> None:
        """End a stall: all that waited goes out, and comes in, now."""
        self._note(f"go-on {name}")
        self.driver.go_on(self[name])

    def slow(self, name: str, seconds: float) -> None:
        """Let a host handle everything so much later; 0: at once, as before."""
        self._note(f"slow {name} by {duration_text(seconds_to_ns(seconds))}")
        self[name].lag_ns = seconds_to_ns(seconds)

    def clock(self, name: str, rate: float) -> None:
        """Let a host's clock run at so many times the true pace."""
        self._note(f"clock {name} {share_text(rate)}")
        self.driver.set_clock(self[name], round(rate * EXACT))

    # -- network ------------------------------------------------------------------------------

    def partition(self, *sides: str | Iterable[str]) -> Impairment:
        """Cut the hosts into sides that don't hear each other; hosts in no side form one more."""
        groups = [[side] if isinstance(side, str) else list(side) for side in sides]
        named = {self[name].name for group in groups for name in group}
        if rest := [name for name in self.driver.hosts if name not in named]:
            groups.append(rest)
        return self._impair("partition " + " | ".join(" ".join(group) for group in groups), cut_into(groups))

    def block(self, source: str, target: str) -> Impairment:
        """Let nothing through from one host to another; the way back stays open."""
        return self._impair(f"block {source} -> {target}", one_way(self[source].name, self[target].name))

    def unplug(self, name: str) -> Impairment:
        """Take a host's network away so that its own sends fail at once."""
        return self._impair(f"unplug {name}", Unplugged(self[name].name))

    def host_loss(self, name: str, share: float) -> Impairment:
        """Lose so much of what a host sends and of what is sent to it, beside the network's own loss."""
        return self._impair(f"loss {share_text(share)} {name}", HostLoss(self[name].name, share))

    def change(self, field: str, value: Any) -> Impairment:
        """Change the network for all: `latency`, `loss`, `duplicate`, `reorder` or `size_limit`."""
        return self._impair(f"{field} {value}", Changed(field, value))

    def mend(self, impairment: Impairment) -> None:
        """Take back what one of the calls above has returned."""
        self._note(f"mend {type(impairment).__name__.lower()}")
        self.network.mend(impairment)

    def heal(self, name: str | None = None) -> None:
        """Undo partitions, blocks, unplugging and hosts' own loss: of one host, or all of it."""
        self._note(f"heal {name}" if name else "heal")
        self.network.heal(name)

    # -- what applications do -----------------------------------------------------------------

    def join(self, name: str, *targets: str, ignore_old: bool = False) -> None:
        """Let a node join others, one after the other, as `Serf.join` does."""
        self._note(f"join {name} {' '.join(targets)}")
        self._join(self[name], targets, ignore_old=ignore_old)

    def leave(self, name: str) -> None:
        """Let a node leave on purpose; it stops when the leave is over."""
        self._note(f"leave {name}")
        host, token = self[name], next(self._tokens)
        life = host.life

        def left(_failure: str | None) -> None:
            # Not inside the step that finishes the leave: its other effects still come.
            self.driver.agenda.after(0, stop)

        def stop() -> None:
            if host.life == life:
                self.driver.shut_down(host)

        self.driver.waiting[name, token] = left
        self.driver.step(
            host, "call", "leave",
            lambda engine, now_ns: engine.begin_leave(token, now_ns)
            if isinstance(engine, SerfEngine)
            else engine.leave(now_ns, token),
        )  # fmt: skip

    def user_event(self, name: str, event: str, payload: bytes | None = None, *, coalesce: bool = False) -> None:
        """Fire a user event at one node."""
        self._note(f"event {name} {event}")
        self.driver.step(
            self[name], "call", f"event {event}",
            lambda _engine, now_ns: self._serf(name).user_event(event, payload, coalesce, now_ns),
        )  # fmt: skip

    def query(self, name: str, query: str, payload: bytes | None = None, **params: Any) -> Answers:
        """Ask a query at one node; `params` are those of `QueryParams`. The answers fill while time passes."""
        self._note(f"query {name} {query}")
        host, engine = self[name], self._serf(name)
        started = engine.query(query, payload, QueryParams(**params), host.clock.read(self.driver.agenda.now_ns))
        answers = self.driver.answers[name, started.key] = Answers()
        self.driver.perform(host, "call", f"query {query}", started.effects)
        return answers

    def respond(self, name: str, query: Any, payload: bytes | None) -> None:
        """Answer a query that a listener was given, at the node it was given for."""
        self.driver.step(
            self[name], "call", "respond", lambda _engine, now_ns: self._serf(name).respond(query, payload, now_ns)
        )

    def set_tags(self, name: str, tags: Mapping[str, str]) -> None:
        """Replace a node's tags."""
        self._note(f"tags {name} {' '.join(f'{key}={value}' for key, value in tags.items())}")
        token = next(self._tokens)
        self.driver.step(
            self[name], "call", "tags", lambda _engine, now_ns: self._serf(name).set_tags(tags, token, now_ns)
        )

    def force_leave(self, name: str, member: str, *, prune: bool = False) -> None:
        """Let a node declare a failed member gone."""
        self._note(f"force-leave {name} {member}{' prune' if prune else ''}")
        token = next(self._tokens)
        self.driver.step(
            self[name], "call", "force-leave",
            lambda _engine, now_ns: self._serf(name).force_leave(member, prune, token, now_ns),
        )  # fmt: skip

    # -- inside -------------------------------------------------------------------------------

    def dice_of(self, purpose: str) -> Dice:
        """Dice for one purpose of this cluster, independent of all others."""
        return self._make_dice(f"{self.seed}/{purpose}")

    def _serf(self, name: str) -> SerfEngine:
        engine = self[name].engine
        if not isinstance(engine, SerfEngine):
            raise UsageError("this cluster is of the memberlist level: it has no user events, queries or tags")
        return engine

    def _impair(self, text: str, impairment: Impairment) -> Impairment:
        self._note(text)
        self.network.impair(impairment)
        return impairment

    def _note(self, text: str) -> None:
        for observer in self.driver.observers:
            observer.on_fault(self.driver.agenda.now_ns, text)

    def _next_address(self) -> Address:
        return Address((10 << 24 | next(self._addresses)).to_bytes(4, "big"), PORT)

    def _add(self, name: str) -> Host:
        if name in self.driver.hosts:
            raise UsageError(f"two hosts are named {name}")
        dice = self.dice_of(f"{name}/clock")
        # Clocks of different hosts have nothing to do with each other; nodes must not rely on them.
        clock = HostClock(dice.randrange(1_000_000) * SECOND)
        host = Host(name, self._next_address(), clock, self.dice_of(f"{name}/wire"))
        self.driver.hosts[name] = host
        self.driver.at_address[host.address] = host
        return host

    def _begin(self, start: Start) -> None:
        hosts = self.hosts
        for host in hosts:
            self._start(host)
        if start == "converged":
            table = ConvergedTable(hosts, self.dice_of("table"))
            for host in hosts:
                due_ns = table.teach(host)
                if host.swim.table.timing.push_pull_interval_ns:
                    at_ns = host.clock.read(self.driver.agenda.now_ns) + due_ns
                    self.driver.perform(host, "start", "converged", [SetTimer(("push-pull",), at_ns)])
        elif start == "joining":
            for host in hosts[1:]:
                self._join_until_it_works(host, host.life, hosts[0].name)

    def _start(self, host: Host) -> None:
        host.new_life(self.config, self.dice_of(f"{host.name}/{host.life + 1}"), keep_snapshot=self.snapshots)
        self.driver.step(host, "start", f"life {host.life}", lambda engine, now_ns: engine.start(now_ns))

    def _join_until_it_works(self, host: Host, life: int, via: str | None) -> None:
        """As an agent with `retry_join` does."""
        if not host.running or host.life != life or host.leaving:
            return
        others = [via] if via else [other for other in self.running if other != host.name][:1]
        if not others:
            return

        def joined(reached: int) -> None:
            if not reached:
                self.driver.agenda.after(_RETRY_JOIN_NS, self._join_until_it_works, host, life, via)

        self._join(host, others, then=joined)

    def _join(
        self,
        host: Host,
        targets: Sequence[str],
        *,
        ignore_old: bool = False,
        then: Callable[[int], None] = lambda _reached: None,
    ) -> None:
        addresses = [self[target].address for target in targets]
        reached, life = 0, host.life
        engine = host.engine
        if isinstance(engine, SerfEngine):
            engine.begin_join(ignore_old)

        def next_one() -> None:
            if addresses:
                self.driver.push_pull(host, addresses.pop(0), join=True, then=answered)
                return
            if isinstance(engine, SerfEngine) and host.running and host.life == life:
                self.driver.step(
                    host, "joined", reached, lambda _engine, now_ns: engine.joined(reached, ignore_old, now_ns)
                )
            then(reached)

        def answered(failure: str | None) -> None:
            nonlocal reached
            reached += failure is None
            next_one()

        next_one()
