"""Agents in processes that play a short scene: Go's and ours, and Go's alone if a Go agent complained of anything new.

A module of scenes has a list `SCENES`, of which each test plays one; `record` plays them all with Go alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from serfcompat.testing.agent_logs import log_classes
from serfcompat.testing.listener import Listener
from serfcompat.testing.processes import Agent, Cluster, Kind, serfcompat_agent
from tests.interop.cases import LIMIT, Case, key_flag
from tests.interop.mixed import join
from tests.interop.record import SCENES, recorded

CONTROLS = 3
"Go-only performances to compare with: some complaints depend on the moment."
_OWN_END = "use of closed network connection"
"What a Go agent that ends may say of its own sockets, whoever else is there."


class Scene:
    """Agents called `go…` are Go's, all others of the other kind. Use it in a `with` block."""

    def __init__(self, case: Case, other: Kind, *, key: bytes | None = None, profile: str = "lan") -> None:
        self._kinds = {"go": case.go, "other": other}
        self._key = case.key if key is None else key
        self._cluster = Cluster(flags=["-log-level=debug", f"-profile={profile}"])
        self._listeners: list[Listener] = []
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="serfcompat-")))
        "Empty, for whatever files the scene needs."

    def start(self, name: str, *flags: str, host: str | None = None, kind: str = "", key: bool = True) -> Agent:
        """A started agent.

        Args:
            kind: `go` or `other`, if its name doesn't say it.
            key: Whether it is told the scene's key.
        """
        program = self._kinds[kind or ("go" if name.startswith("go") else "other")]
        return self._cluster.start(program, name, *(key_flag(self._key) if key else []), *flags, host=host, limit=LIMIT)

    def cluster(self, *names: str) -> list[Agent]:
        """Agents that know one another; each has joined the one before it."""
        agents = [self.start(name) for name in names]
        join(*agents)
        return agents

    def listen(self, agent: Agent) -> Listener:
        """What an agent tells, to its end. ⚠ A Go agent that loses a stream while it has news for it may crash."""
        self._listeners.append(listener := Listener(agent.rpc))
        return listener

    def go_complaints(self) -> set[str]:
        """Classes of WARN and ERR lines of the Go agents."""
        names = {agent.name for agent in self._cluster.agents}
        return {
            found
            for agent in self._cluster.agents
            if agent.kind == self._kinds["go"]
            for found in log_classes(agent.log, names)
            if _OWN_END not in found
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Exception):
            text = io.StringIO()
            self._cluster.print_logs(text)
            error.add_note(text.getvalue())
        self._cluster.stop()
        for listener in self._listeners:
            listener.close()
        self._stack.close()


Play = Callable[[Case, Kind], set[str]]
"Performs with the kind it is given beside Go's, and returns the Go agents' complaints."


def play(scene: Play, case: Case) -> None:
    """Perform it with ours; what the Go agents complain of then, they must complain of without us as well."""
    unusual = scene(case, serfcompat_agent()) - recorded(case.version) - recorded(case.version, SCENES)
    for _ in range(CONTROLS):
        if not unusual:
            return
        unusual -= scene(case, case.go)
    assert not unusual, f"only with us: {unusual}"


def id_of(scene: object) -> str:
    """What a test with this scene is called."""
    assert isinstance(scene, partial)
    return "-".join([scene.func.__name__, *map(str, scene.keywords.values())])
