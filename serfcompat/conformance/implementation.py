"""A program that the kit starts: the subject of `--impl COMMAND`."""

from __future__ import annotations

import threading

from serfcompat.conformance.agents import AgentStage, Setup, ready
from serfcompat.conformance.bench import Bench
from serfcompat.conformance.case import Case, Level, Need
from serfcompat.conformance.lab import Lab
from serfcompat.testing.processes import Agent, Cluster, Kind


class Implementation:
    """Agents are started as cases need them. Use it in a `with` block, which stops them."""

    shared = False

    def __init__(self, kind: Kind, setup: Setup | None = None) -> None:
        self.kind, self.setup = kind, setup or Setup()
        self._lock = threading.Lock()
        self._cluster = Cluster()
        self._common: dict[frozenset[Need], Agent] = {}

    @property
    def title(self) -> str:
        return self.kind.label

    def not_applicable(self, case: Case) -> str:
        if Need.LABEL in case.needs and not self.setup.label_flag:
            return "the command has no flag for a label (--label-flag)"
        return ""

    def stage(self, case: Case) -> tuple[AgentStage, object]:
        stage = AgentStage()
        try:
            if case.level is Level.AGENT:
                return stage, Lab(self.kind, self.setup, stage)
            needs = frozenset(case.needs & {Need.KEY, Need.LABEL})
            agent = self._fresh(stage, needs) if case.alone else self._shared(needs)
            stage.watch(agent, own=case.alone)
            bench = Bench(self.setup.node(agent, needs), stage.trace)
            stage.stack.callback(bench.close)
        except BaseException:
            stage.close()
            raise
        return stage, bench

    def _fresh(self, stage: AgentStage, needs: frozenset[Need]) -> Agent:
        """An agent for one case alone."""
        cluster = stage.stack.enter_context(Cluster())
        return ready(cluster, self.kind, "node", self.setup.arguments(needs))

    def _shared(self, needs: frozenset[Need]) -> Agent:
        """The agent that all cases with these needs talk to; a new one if it has ended."""
        with self._lock:
            agent = self._common.get(needs)
            if agent is None or not agent.running:
                agent = ready(self._cluster, self.kind, "node", self.setup.arguments(needs))
                self._common[needs] = agent
            return agent

    def close(self) -> None:
        """Stop all agents."""
        self._cluster.stop()

    def __enter__(self) -> Implementation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
