"""Scripts: what is done to a cluster, made up from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

NAMES = ("a", "b", "c")
"Of the agents; all are in one cluster when a script begins."
KINDS = ("event", "query", "tags", "untag", "kill", "leave", "restart", "force-leave", "prune")
_WEIGHTS = (6, 4, 4, 2, 1, 1, 0, 0, 0)
"Restarts, and what needs a dead member, follow by themselves."


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done, by or to an agent."""

    kind: str
    node: str
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.kind, self.node, *map(repr, self.arguments)))


@dataclass(frozen=True, slots=True)
class Script:
    """Steps, one after the other; each begins when all agents know of the one before."""

    seed: int
    steps: Sequence[Step] = field(default=())

    def __str__(self) -> str:
        return "\n".join([f"script {self.seed}", *(f"  {step}" for step in self.steps)])

    def without(self, start: int, stop: int) -> Script:
        return Script(self.seed, [*self.steps[:start], *self.steps[stop:]])


def generate(seed: int) -> Script:
    """The script of a seed, always the same: three to seven steps, each of which makes sense where it stands."""
    dice = random.Random(f"differential {seed}")
    steps: list[Step] = []
    down: dict[str, str] = {}
    for number in range(dice.randint(3, 7)):
        node = dice.choice([name for name in NAMES if name not in down])
        (kind,) = dice.choices(KINDS, _WEIGHTS)
        if down and dice.random() < 0.4:
            gone = next(iter(down))
            kind = dice.choice(
                ("force-leave", "prune") if down[gone] == "kill" and dice.random() < 0.4 else ("restart",)
            )
            steps.append(Step(kind, node if kind != "restart" else gone, (gone,) if kind != "restart" else (node,)))
            if kind == "restart":
                del down[gone]
            elif kind == "prune":
                down[gone] = "pruned"
            else:
                down[gone] = "leave"
            continue
        if kind in ("kill", "leave"):
            if down:
                kind = "event"  # two of three are to remain
            else:
                down[node] = kind
        steps.append(Step(kind, node, _arguments(dice, kind, number)))
    return Script(seed, steps)


def _arguments(dice: random.Random, kind: str, number: int) -> tuple[str, ...]:
    match kind:
        case "event":
            payload = dice.choice(("", "x", "\0\x7f", "é", "y" * dice.choice((31, 32, 255, 256, 400)), "z" * 600))
            return (f"e{number}", payload)
        case "query":
            return (f"q{number}", dice.choice(("", "all", "name:a,b", "name:nobody", "tag:t1=^v", "tag:t2=.", "relay")))
        case "tags":
            return tuple(f"{dice.choice(('t1', 't2', 't3'))}=v{dice.randrange(100)}" for _ in range(dice.randint(1, 2)))
        case "untag":
            return (dice.choice(("t1", "t2", "t3")),)
        case _:
            return ()


def shrink(script: Script, differs: Callable[[Script], bool], *, most_runs: int = 12) -> Script:
    """The shortest script found by leaving out steps that still differs, in at most so many runs."""
    for _ in range(most_runs):
        shorter = next((candidate for candidate in _shorter(script) if differs(candidate)), None)
        if shorter is None:
            break
        script = shorter
    return script


def _shorter(script: Script) -> Iterator[Script]:
    """Candidates, those that leave out most first."""
    size = len(script.steps) // 2
    while size:
        for start in range(0, len(script.steps), size):
            if len(candidate := script.without(start, start + size).steps):
                yield Script(script.seed, candidate)
        size //= 2
