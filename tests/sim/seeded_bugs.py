"""Bugs put into the engines on purpose, as a text and its replacement, and how to run with one of them."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import types
from collections.abc import Iterator
from typing import NamedTuple


class Bug(NamedTuple):
    """One mutant of the source."""

    name: str
    module: str
    text: str
    "Occurs exactly once in the module."
    instead: str
    laws: frozenset[str]
    "The laws that may catch it."
    plan: int
    "A random plan in which it is caught; the search begins here."
    scenario: str
    "Where random plans need long: a scenario in which it is caught."


def bug(name: str, module: str, text: str, instead: str, *laws: str, plan: int = 0, scenario: str = "") -> Bug:
    return Bug(name, module, text, instead, frozenset(laws), plan, scenario)


LEFT_UNHEARD = """
nodes 4
at 1s partition n1 for 40s
at 2s leave n4
settle
"""

FORCED_OUT = """
nodes 4
at 2s force-leave n1 n3
settle
"""


BUGS = [
    bug(
        "suspicions are not refuted",
        "serfcompat.swim.claims",
        """refuting a suspicion about us, from %s", text(claim.from_))
        refute(table, claim.incarnation)""",
        """refuting a suspicion about us, from %s", text(claim.from_))""",
        "accusations are answered", plan=9,
    ),
    bug(
        "a refutation does not outbid the accusation",
        "serfcompat.swim.claims",
        "table.next_incarnation(above=accused)",
        "table.next_incarnation()",
        "accusations are answered", plan=45,
    ),
    bug(
        "alive claims are believed at any incarnation",
        "serfcompat.swim.claims",
        "if not mine and not reclaim and claim.incarnation <= node.incarnation:",
        "if False:",
        "only news revives", "incarnations never go back", "gossip ends", plan=9,
    ),
    bug(
        "an alive claim beats a suspicion of the same incarnation",
        "serfcompat.swim.claims",
        "if not mine and not reclaim and claim.incarnation <= node.incarnation:",
        "if not mine and not reclaim and claim.incarnation < node.incarnation:",
        "only news revives", "gossip ends", plan=9,
    ),
    bug(
        "stale suspicions count",
        "serfcompat.swim.claims",
        "if node is None or claim.incarnation < node.incarnation:  # SU1, SU2",
        "if node is None:",
        "incarnations never go back", "who answers is not suspected", "suspicion lasts long enough", plan=7,
    ),
    bug(
        "stale death notices count",
        "serfcompat.swim.claims",
        "if node is None or claim.incarnation < node.incarnation:  # DE1, DE2",
        "if node is None:",
        "incarnations never go back", "who answers is not suspected", plan=14,
    ),
    bug(
        "one accuser confirms twice",
        "serfcompat.swim.suspicion",
        "if self.confirmations >= self.k or accuser in self._seen:",
        "if self.confirmations >= self.k:",
        "suspicion lasts long enough", plan=22,
    ),
    bug(
        "a suspicion starts with the shortest time",
        "serfcompat.swim.suspicion",
        "(min_ns if k < 1 else max_ns)",
        "min_ns",
        "suspicion lasts long enough", plan=8,
    ),
    bug(
        "an old timer goes on when a newer incarnation is accused",
        "serfcompat.swim.claims",
        "if suspicion is not None and claim.incarnation == node.incarnation:  # SU3",
        """if suspicion is not None:
        _heard_of(table, node, claim.incarnation)""",
        "suspicion lasts long enough", plan=14,
    ),
    bug(
        "a suspicion outlives its refutation",
        "serfcompat.swim.claims",
        "effects = _drop_suspicion(table, claim.node)  # AL12",
        "effects: list[Effect] = []",
        "views converge", "suspicion lasts long enough", "suspicions end", plan=43,
    ),
    bug(
        "push/pull buries at once",
        "serfcompat.swim.pushpull",
        "return on_suspect(table, Suspect(node.incarnation, node=node.name, from_=table.me), now_ns)",
        "return on_dead(table, Dead(node.incarnation, node=node.name, from_=table.me), now_ns)",
        "death has a cause", "incarnations never go back", plan=9,
    ),
    bug(
        "claims are gossiped for ever",
        "serfcompat.swim.queue",
        "if item.transmits + 1 >= limit_tx:",
        "if False:",
        "gossip ends", plan=9,
    ),
    bug(
        "a failed probe is the last one",
        "serfcompat.swim.probe",
        "return on_suspect(table, claim, now_ns) + self._end(delta, now_ns)",
        "return on_suspect(table, claim, now_ns)",
        "views converge", plan=22,
    ),
    bug(
        "user events are delivered as often as they are heard",
        "serfcompat.serf.user_events",
        "if ring.knows(message.ltime, key):",
        "if False:",
        "events once everywhere", plan=14,
    ),
    bug(
        "clocks follow whoever speaks",
        "serfcompat.serf.lamport",
        "if self.time <= time < LTIME_MAX:",
        "if time < LTIME_MAX:",
        "clocks never go back", plan=22,
    ),
    bug(
        "events are not handed on by push/pull",
        "serfcompat.serf.push_pull",
        "for slot in remote.events or ():",
        "for slot in ():",
        "events once everywhere", plan=46,
    ),
    bug(
        "who failed can't be found to have left",
        "serfcompat.serf.intents",
        "members.become(entry, MemberStatus.LEFT)\n",
        "pass\n",
        "intents are not lost", "statuses agree",
        scenario=LEFT_UNHEARD,
    ),
    bug(
        "old leave intents count",
        "serfcompat.serf.intents",
        "if intent.ltime <= entry.status_ltime:  # L2",
        "if False:",
        "statuses agree", "queues are bounded",
        scenario=FORCED_OUT,
    ),
    bug(
        "old join intents count",
        "serfcompat.serf.intents",
        "if intent.ltime <= entry.status_ltime:  # J2",
        "if False:",
        "statuses agree", "queues are bounded",
        scenario=FORCED_OUT,
    ),
]  # fmt: skip


@contextlib.contextmanager
def seeded(bug: Bug) -> Iterator[None]:
    """Run with the bug: the code of each function that it changes is exchanged, and put back at the end."""
    module = importlib.import_module(bug.module)
    source = inspect.getsource(module)
    assert source.count(bug.text) == 1, f"{bug.name}: its text occurs {source.count(bug.text)} times in {bug.module}"
    mutant = types.ModuleType(bug.module)
    mutant.__dict__.update(module.__dict__)
    exec(compile(source.replace(bug.text, bug.instead), bug.module, "exec"), mutant.__dict__)
    changed = []
    for name, function in _functions(module).items():
        new = _functions(mutant)[name]
        if _fingerprint(function.__code__) != _fingerprint(new.__code__):
            changed.append((function, function.__code__))
            function.__code__ = new.__code__
    assert changed, f"{bug.name} changes no function"
    try:
        yield
    finally:
        for function, code in changed:
            function.__code__ = code


def _functions(module: types.ModuleType) -> dict[str, types.FunctionType]:
    """Functions and methods that a module defines itself."""
    found = {}
    for name, thing in vars(module).items():
        if getattr(thing, "__module__", None) != module.__name__:
            continue
        if isinstance(thing, types.FunctionType):
            found[name] = thing
        elif isinstance(thing, type):
            found |= {f"{name}.{n}": f for n, f in vars(thing).items() if isinstance(f, types.FunctionType)}
    return found


def _fingerprint(code: types.CodeType) -> tuple[object, ...]:
    """What a function does; lines and file names aside."""
    consts = tuple(_fingerprint(c) if isinstance(c, types.CodeType) else (type(c), c) for c in code.co_consts)
    return code.co_code, consts, code.co_names, code.co_varnames
