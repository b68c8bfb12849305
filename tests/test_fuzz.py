"""The fuzzer finds what it is there to find, and can show it again."""

from random import Random

import pytest

from serfcompat.errors import WireError
from serfcompat.rpc import protocol
from tests.fuzz import agent as agent_fuzz
from tests.fuzz import worker
from tests.fuzz.__main__ import main
from tests.fuzz.mutate import Mutator
from tests.fuzz.target import Target
from tests.fuzz.targets import targets
from tests.fuzz.worker import Inputs, Worker, target_of


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def tried(run, count=20):
    """The tally of a worker that had nothing but this to do."""
    target = Target("a reader", run, [b"some good input", b"another"], weight=1)
    worker_ = Worker([target], seed=1)
    worker_.work(range(count))
    return worker_.tally


def test_an_input_depends_on_the_seed_and_its_number_alone():
    def some(seed, numbers):
        inputs = Inputs(targets(), seed)
        return {number: (inputs[number][0].name, inputs[number][1]) for number in numbers}

    forwards, backwards = some(1, range(40)), some(1, reversed(range(40)))
    assert forwards == backwards
    assert len({data for _, data in forwards.values()}) > 30
    assert forwards != some(2, range(40))


def test_only_a_refusal_may_come_out():
    def refuse(data):
        raise WireError("truncated")

    assert (tried(refuse).failures, tried(refuse).refused["a reader"]) == (0, 20)
    assert (tried(len).failures, tried(len).accepted["a reader"]) == (0, 20)
    for error in (IndexError, RecursionError, MemoryError, EOFError, AssertionError):

        def fail(data, error=error):
            raise error("oops")

        assert tried(fail).failures == 20


def test_a_failure_is_kept_and_told_once_with_how_to_see_it_again(tmp_path):
    def fail(data):
        raise KeyError(data)

    [line] = tried(fail).told.values()
    assert "a reader: KeyError" in line
    path = tmp_path / line.rpartition(" ")[2]
    assert f"--replay {path.relative_to(tmp_path)}" in line
    target = Target("a reader", fail, [b""], weight=1)
    assert target_of(path, [Target("another", fail, [b""], weight=1), target]) is target
    assert path.read_bytes() == Inputs([Target("a reader", fail, [b"some good input", b"another"], 1)], 1)[0][1]
    assert "KeyError" in path.with_suffix(".txt").read_text(encoding="utf-8")
    assert len(list(path.parent.iterdir())) == 2


def test_slow_inputs_fail(monkeypatch):
    monkeypatch.setattr(worker, "SLOW", -1.0)
    [line] = tried(len, count=1).told.values()
    assert "TimeoutError" in line


def test_an_input_that_hangs_is_interrupted(monkeypatch):
    def hang(data):
        while True:
            try:
                data.count(b"x")
            except Exception:
                raise AssertionError("swallowed") from None

    monkeypatch.setattr(worker, "HANGS", 0.02)
    [line] = tried(hang, count=1).told.values()
    assert "Hangs" in line


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)
def test_every_target_takes_some_of_its_own_inputs(target):
    def takes(data):
        try:
            target.run(target.wrap(data))
        except WireError:
            return False
        return True

    assert any(takes(data) for data in target.corpus)


def test_a_run_tells_how_many_failed(capsys):
    assert main(["--n", "60", "--seed", "3", "--processes", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "fuzz: 60 inputs, 0 failures, seed 3"
    assert main(["--only", "no such target"]) == 2


def test_a_kept_input_can_be_tried_again(tmp_path, capsys):
    path = tmp_path / "memberlist-ping.1-2.bin"
    path.write_bytes(b"\x81\xa5SeqNo\x01")
    assert main(["--replay", str(path)]) == 0
    assert "memberlist ping: accepted" in capsys.readouterr().out


@pytest.mark.socket
def test_an_agent_stands_hostile_requests():
    with agent_fuzz.guarded_agent() as agent:
        agent_fuzz.attack(agent, 3000, seed=1)


@pytest.mark.slow
@pytest.mark.socket
def test_an_agent_stands_a_hundred_thousand_hostile_requests():
    with agent_fuzz.guarded_agent() as agent:
        agent_fuzz.attack(agent, 100_000, seed=2)


@pytest.mark.socket
def test_an_agent_that_lets_strangers_in_is_found_out():
    with agent_fuzz.guarded_agent(token="") as agent, pytest.raises(agent_fuzz.Failed, match="stranger"):
        agent_fuzz.connect(agent, [protocol.MembersRequest().encode_with(3)], Mutator(Random(1)), Random(1), 50)
