"""Scripts, how they are shortened, and what counts as a difference."""

from __future__ import annotations

import sys

import pytest

from serfcompat.cli.main import main
from serfcompat.conformance.differential.play import differences
from serfcompat.conformance.differential.script import KINDS, NAMES, Script, Step, generate, shrink
from tests.peers import go_serf

FLAGS = "agent -node={name} -bind={bind} -rpc-addr={rpc} {extra}"


def test_a_seed_gives_always_the_same_script():
    assert [generate(seed) for seed in range(50)] == [generate(seed) for seed in range(50)]
    assert len({str(generate(seed)).partition("\n")[2] for seed in range(50)}) == 50


def test_all_kinds_of_steps_come_up_and_make_sense():
    seen = set()
    for seed in range(300):
        down = set()
        for step in generate(seed).steps:
            seen.add(step.kind)
            if step.kind == "restart":
                assert step.node in down
                assert step.arguments[0] not in down
                down.remove(step.node)
            else:
                assert step.node not in down
            if step.kind in ("kill", "leave"):
                down.add(step.node)
            if step.kind in ("force-leave", "prune"):
                assert step.arguments[0] in down
        assert len(down) < len(NAMES)
    assert seen == set(KINDS)


def test_a_script_is_shortened_to_what_differs():
    script = Script(1, [Step("event", "a", (str(n), "")) for n in range(7)])

    def differs(candidate):
        return {"2", "5"} <= {step.arguments[0] for step in candidate.steps}

    assert [step.arguments[0] for step in shrink(script, differs).steps] == ["2", "5"]


def test_runs_are_not_endless():
    runs = []
    script = Script(1, [Step("event", "a", (str(n), "")) for n in range(7)])
    shrink(script, lambda candidate: bool(runs.append(candidate)) or len(candidate.steps) >= 1, most_runs=3)
    assert len(runs) <= 3 * 14


def test_differences_are_told_under_their_step():
    one = [["event a", "a hears x", "b hears x"], ["end", "t"]]
    other = [["event a", "b hears x", "a hears y"], ["end", "t"]]
    assert differences(one, other) == ["event a", "  - a hears x", "  + a hears y"]
    assert differences(one, one) == []


def test_two_commands_are_needed(capfd):
    assert main(["conformance", "-differential=1", f"-impl=x {FLAGS}"]) == 2
    assert "-against COMMAND and -impl COMMAND" in capfd.readouterr().out


@pytest.mark.interop
@pytest.mark.socket
def test_ours_and_go_agree_on_a_script(capfd):
    against, ours = f"{go_serf('0.10.1')} {FLAGS}", f"{sys.executable} -m serfcompat {FLAGS}"
    args = ["-differential=1", "-seed=3", f"-against={against}", f"-impl={ours}", "-quiet"]
    assert main(["conformance", *args]) == 0, capfd.readouterr().out
