"""Clusters of real Go agents and ours, in containers or in processes, on networks that can be made bad.

    with MixedCluster(go="0.10.1:3", py=2, encrypt=True) as c:
        with c.listen("py1") as heard:
            c["go1"].client.user_event("deploy", b"v2")
            heard.wait_for_user_event("deploy")
        c.partition(["go1", "go2"], ["go3", "py1", "py2"])
        c.wait_for({"go1": "failed"}, at=["py1"])
        c.heal()
        c.wait_until_whole()

Nodes are called go1, go2 …, py1, py2 …. Entering the block starts them and joins them; leaving it removes all that
was made. If it is left by an exception, each node's log and the last packets are kept, and the exception says where.
`docs/interop.md` tells how to use this in a project of your own.
"""

from __future__ import annotations

import atexit
import base64
import itertools
import os
import random
import secrets
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self, TypeVar

from serfcompat.errors import AgentUnreachable, RPCError, UsageError
from serfcompat.serf.member import Member
from serfcompat.testing.backends import Backend, backend
from serfcompat.testing.listener import Listener
from serfcompat.testing.node import AgentError, Node
from serfcompat.testing.programs import parse
from serfcompat.testing.relay import Relay, Weather
from serfcompat.testing.runs import this_run

STARTS = 60.0
"Seconds that a node has until it serves."
AGREES = 75.0
"Seconds within which everybody knows everything, even where gossip was lost: some push/pulls."
KEEP_VARIABLE = "SERFCOMPAT_KEEP"
"Names the folder that logs and packets of failures are kept in."

T = TypeVar("T")
R = TypeVar("R")
Name = str | Node
_numbers = itertools.count(1)
_open: weakref.WeakSet[MixedCluster] = weakref.WeakSet()


class MixedCluster:
    """Some Go agents and some of ours in one cluster. Use it in a `with` block, or `start` and `stop` it."""

    def __init__(
        self,
        go: str | int = 0,
        py: str | int = 0,
        *,
        encrypt: bool | int | bytes = False,
        compression: bool = True,
        protocol: int | None = None,
        profile: str = "lan",
        flags: Sequence[str] = (),
        on: str = "auto",
        relay: bool = False,
        capture: bool = True,
        join: bool = True,
        keep: Path | None = None,
        seed: int = 0,
    ) -> None:
        """
        Args:
            go: Go agents: how many, or `VERSION:HOW_MANY`, several with commas between them.
            py: Ours, likewise; the version is Python's.
            encrypt: True or the size of a key in bytes (16, 24, 32) for a random one, or the key itself.
            compression: False: `-disable-compression`.
            protocol: Serf's protocol version, 2 to 5; None: the newest.
            profile: `lan`, `wan` or `local`. ⚠ `local` is fast, but sends a broadcast so few times that among more
                than three nodes one may miss it.
            flags: For every agent.
            on: The back end: `containers`, `namespaces`, `loopback`, or `auto` for the first that works here.
            relay: Pass all traffic between nodes through a relay, which can also delay and reorder it.
            capture: Keep the last packets, for a failure.
            join: Make one cluster of them at the start.
            keep: Where a failure's logs and packets go: a new folder in it.
            seed: Of the relay's dice.
        """
        self.programs = {
            f"{each.name}{number}": each
            for programs in (parse("go", go), parse("py", py))
            for number, each in enumerate(programs, 1)
        }
        self.key = _key(encrypt)
        "What nodes are started with; set it when all have changed to another one."
        self._flags = [f"-profile={profile}", "-log-level=debug", *flags]
        if not compression:
            self._flags.append("-disable-compression")
        if protocol is not None:
            self._flags.append(f"-protocol={protocol}")
        self._wanted, self._with_relay, self._with_capture, self._join = on, relay, capture, join
        self._seed = seed
        self.keep_folder = keep or Path(os.environ.get(KEEP_VARIABLE) or "build/mixed")
        self.nodes: dict[str, Node] = {}
        "By name: the present life of each."
        self.past: list[Node] = []
        "Lives that have ended and were followed by another one."
        self.no_capture = ""
        "Why no packets are kept; empty: they are."
        self.relay: Relay | None = None
        "What passes all traffic on, if something does."
        self._backend: Backend | None = None
        self._paused: set[str] = set()
        self._blocked: set[tuple[str, str]] = set()
        self._loss: dict[str, float] = {}
        self._suffering: set[str] = set()
        self._stack = ExitStack()

    # -- beginning and end --------------------------------------------------------------------

    def start(self) -> Self:
        """Start and join all nodes. NotHere: this machine can't; AgentError: one doesn't serve, or they don't meet."""
        _open.add(self)
        try:
            self._backend = backend(self._wanted)
            self._stack.callback(self._backend.close)
            if self._with_relay or self._backend.cannot_filter:
                self.relay = self._stack.enter_context(Relay(random.Random(self._seed)))
            self.no_capture = self._backend.start_capture() if self._with_capture else "not asked for"
            self._each(list(self.programs), self._launch)
            self.nodes = {name: self.nodes[name] for name in self.programs}
            if self._join:
                self.join()
        except BaseException as error:
            if isinstance(error, Exception) and self.nodes:
                self._keep_all(error)
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Remove everything. May be called again."""
        self._stack.close()
        _open.discard(self)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        try:
            if isinstance(error, Exception):  # an interrupt is no failure
                self._keep_all(error)
        finally:
            self.stop()

    # -- looking ------------------------------------------------------------------------------

    @property
    def on(self) -> str:
        """The back end that it runs on."""
        return self._running_on.name

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    @property
    def go(self) -> list[Node]:
        """The Go agents."""
        return [node for name, node in self.nodes.items() if self.programs[name].name == "go"]

    @property
    def py(self) -> list[Node]:
        """Ours."""
        return [node for name, node in self.nodes.items() if self.programs[name].name == "py"]

    @property
    def up(self) -> list[Node]:
        """Nodes that run and aren't paused."""
        return [node for name, node in self.nodes.items() if name not in self._paused and node.running]

    def listen(self, node: Name, *, answers: Mapping[str, bytes | None] | None = None) -> Listener:
        """Follow a node's events from now on, answering these queries; closed at the end, or by its own `with`."""
        listener = Listener(self._node(node).rpc, answers=answers)
        self._stack.callback(listener.close)
        return listener

    # -- waiting ------------------------------------------------------------------------------

    def wait_for(
        self, wanted: Mapping[str, str], *, at: Iterable[Name] | None = None, limit: float = AGREES
    ) -> dict[str, dict[str, Member]]:
        """The members that each of these nodes (None: all that are up) has, once they have these statuses.

        A name with the status `gone` must not be among the members. AgentError: not in time.
        """
        nodes = self.up if at is None else [self._node(each) for each in at]
        return self._each(nodes, lambda node: node.wait_for_members(wanted, limit=limit), key=lambda node: node.name)

    def wait_until_whole(self, limit: float = AGREES) -> dict[str, dict[str, Member]]:
        """What every node sees, once every node that is up is alive for all that are up. AgentError: not in time."""
        return self.wait_for({node.name: "alive" for node in self.up}, limit=limit)

    # -- nodes --------------------------------------------------------------------------------

    def join(self) -> None:
        """Let all join the first, and wait until all know all."""
        first, *others = self.up
        self._each(others, lambda node: node.client.join([first.gossip]))
        self.wait_until_whole()

    def add(self, program: str, version: str | int = 1, *flags: str, name: str | None = None) -> Node:
        """One more node, `go` or `py`, that has joined. `version` as in `go=`."""
        one = parse(program, version)[0]
        used = {int(each.removeprefix(program)) for each in self.programs if each.removeprefix(program).isdigit()}
        name = name or f"{program}{max(used, default=0) + 1}"
        if name in self.programs:
            raise UsageError(f"there is a {name} already: `restart` begins another life of it")
        self.programs[name] = one
        node = self._launch(name, flags)
        self._let_join(node)
        return node

    def pause(self, node: Name) -> None:
        """Stop a node's execution; others will suspect it."""
        node = self._node(node)
        node.pause()
        self._paused.add(node.name)

    def resume(self, node: Name) -> None:
        """Let a paused node go on."""
        node = self._node(node)
        node.resume()
        self._paused.discard(node.name)

    def kill(self, node: Name) -> None:
        """End a node at once, without a word to the others."""
        node = self._node(node)
        node.kill()
        self._paused.discard(node.name)

    def leave(self, node: Name) -> None:
        """Let a node leave in order, and end. AgentError: it didn't end well."""
        node = self._node(node)
        if status := node.leave(limit=30.0):
            raise AgentError(f"{node.label} agent {node.name} left with exit status {status}")

    def restart(
        self,
        node: Name,
        *flags: str,
        new_address: bool = False,
        program: str = "",
        version: str | int = 1,
        join: bool = True,
    ) -> Node:
        """Another life of a node, ended first if it runs: at the same address or at a new one, of another program
        if told (`go` or `py`, `version` as in `go=`). It has joined and serves when this returns."""
        old = self._node(node)
        if old.running:
            self.kill(old)
        old.stop()
        self.past.append(old)
        self._suffering.discard(old.name)
        if program:
            self.programs[old.name] = parse(program, version)[0]
        new = self._launch(old.name, flags, host=None if new_address else old.host)
        if join:
            self._let_join(new)
        return new

    # -- bad networks -------------------------------------------------------------------------

    def partition(self, *sides: Iterable[Name]) -> None:
        """Let nothing through between nodes of different sides, either way. One side: it against all others."""
        groups = [{self._node(each).name for each in side} for side in sides]
        if len(groups) == 1:
            groups.append(set(self.nodes) - groups[0])
        for one in groups:
            for other in groups:
                if one is not other:
                    if one & other:
                        raise UsageError(f"on both sides of the partition: {', '.join(sorted(one & other))}")
                    self._blocked |= {(a, b) for a in one for b in other}
        self._apply_faults()

    def block(self, source: Name, target: Name) -> None:
        """Let nothing through from one node to another; the other way stays open."""
        self._blocked.add((self._node(source).name, self._node(target).name))
        self._apply_faults()

    def heal(self) -> None:
        """Lift every partition and block; loss and weather stay."""
        self._blocked.clear()
        self._apply_faults()

    def lose(self, share: float, *nodes: Name) -> None:
        """Lose this share, 0 to 1, of the datagrams to these nodes (none named: to all)."""
        for name in [self._node(each).name for each in nodes] or list(self.nodes):
            self._loss[name] = share
        self._apply_faults()

    def weather(self, weather: Weather) -> None:
        """Delay, jitter (which reorders), duplication and loss of all traffic. Needs `relay=True`."""
        if self.relay is None:
            raise UsageError("only a relay delays traffic: MixedCluster(..., relay=True)")
        self.relay.weather = weather

    # -- inside -------------------------------------------------------------------------------

    @property
    def _running_on(self) -> Backend:
        if self._backend is None:
            raise UsageError("use the cluster in a `with` block")
        return self._backend

    def _node(self, node: Name) -> Node:
        name = node if isinstance(node, str) else node.name
        if name not in self.nodes:
            raise UsageError(f"no node {name!r}: there are {', '.join(self.nodes)}")
        return self.nodes[name]

    def _launch(self, name: str, flags: Sequence[str] = (), *, host: str | None = None) -> Node:
        """A node that serves, in the place of an earlier life if there was one."""
        on = self._running_on
        earlier = self.nodes.get(name)
        own = [*self._flags, *flags]
        if self.key is not None:
            own.append(f"-encrypt={base64.b64encode(self.key).decode()}")
        gossip = None
        new_host = host or on.free_host()
        if self.relay is not None:
            if earlier is not None and host is not None:
                gossip = earlier.gossip
            else:
                gossip = on.relay_address()
                self.relay.serve(name, listen=gossip, target=f"{new_host}:7946")
            own.append(f"-advertise={gossip}")
        node = on.launch(self.programs[name], name, new_host, own)
        if gossip is not None:
            node.gossip = gossip
        self.nodes[name] = node
        node.wait_until_serving(STARTS)
        if any(name in pair for pair in self._blocked) or self._loss.get(name):
            self._apply_faults()
        return node

    def _let_join(self, node: Node) -> None:
        """Let a node join by the first that it can reach."""
        wrong = ""
        for other in self.up:
            if other is node:
                continue
            try:
                node.client.join([other.gossip])
            except (RPCError, AgentUnreachable) as error:
                wrong = f"; {other.name}: {error}"
            else:
                return
        raise AgentError(f"{node.name} can't join anybody{wrong}")

    def _apply_faults(self) -> None:
        if self.relay is not None:
            self.relay.heal()
            for source, target in self._blocked:
                self.relay.block(source, target)
            for source in self.nodes:
                for target in self.nodes:
                    share = self._loss.get(target, 0.0)
                    self.relay.set_link(source, target, Weather(loss=share) if share else None)
            return
        wanted = {name for name in self.nodes if self._loss.get(name) or any(name == to for _, to in self._blocked)}

        def apply(name: str) -> None:
            sources = {self.nodes[source].host for source, target in self._blocked if target == name}
            self._running_on.set_faults(self.nodes[name], blocked=sources, loss=self._loss.get(name, 0.0))

        self._each([name for name in wanted | self._suffering if self.nodes[name].running], apply)
        self._suffering = wanted

    def _each(self, what: Sequence[T], do: Callable[[T], R], key: Callable[[T], str] = str) -> dict[str, R]:
        """Do it for all at the same time."""
        if not what:
            return {}
        with ThreadPoolExecutor(len(what)) as pool:
            return dict(zip(map(key, what), pool.map(do, what), strict=True))

    def _keep_all(self, error: Exception) -> None:
        """Keep logs and packets, and say so on the error."""
        folder = self.keep_folder / f"{this_run().id}-{next(_numbers)}"
        try:
            self.keep(folder)
        except OSError as trouble:
            error.add_note(f"logs could not be kept: {trouble}")
            return
        error.add_note(f"Logs and packets are in {folder}. How they end:\n{self.tails()}")

    def tails(self) -> str:
        """How every node's log ends."""
        return "\n".join("\n".join([f"---- {node!r}", *node.log[-8:]]) for node in self.nodes.values())

    def keep(self, folder: Path) -> None:
        """Write every node's log there, of each of its lives, and the packets so far as `packets.pcap`."""
        folder.mkdir(parents=True, exist_ok=True)
        lives: dict[str, int] = {}
        for node in [*self.past, *self.nodes.values()]:
            lives[node.name] = lives.get(node.name, 0) + 1
            path = folder / f"{node.name}.{lives[node.name]}.log"
            path.write_text("\n".join([repr(node), *node.log, ""]), encoding="utf-8", errors="surrogateescape")
        if self.no_capture:
            (folder / "no-packets.txt").write_text(self.no_capture + "\n")
        else:
            self._running_on.save_capture(folder / "packets.pcap")


def _key(encrypt: bool | int | bytes) -> bytes | None:
    if isinstance(encrypt, bytes):
        return encrypt
    if encrypt is False:
        return None
    size = 32 if encrypt is True else encrypt
    if size not in (16, 24, 32):
        raise UsageError(f"encrypt={size}: a key has 16, 24 or 32 bytes")
    return secrets.token_bytes(size)


@atexit.register
def stop_all() -> None:
    """Stop every cluster of this process, also those that other threads use: they get errors."""
    for cluster in list(_open):
        with suppress(Exception):
            cluster.stop()
