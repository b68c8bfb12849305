from serfcompat.sim.agenda import Agenda


def test_what_is_due_at_one_time_comes_in_the_order_it_was_made():
    agenda, done = Agenda(), []
    for name in "abc":
        agenda.at(5, done.append, name)
    agenda.at(1, done.append, "first")
    agenda.run(10)
    assert done == ["first", "a", "b", "c"]
    assert agenda.now_ns == 10


def test_time_stands_still_for_what_is_overdue():
    agenda, times = Agenda(), []
    agenda.run(100)
    agenda.at(3, lambda: times.append(agenda.now_ns))
    agenda.run(100)
    assert times == [100]


def test_a_step_does_one_thing_and_says_when_nothing_is_due():
    agenda, done = Agenda(), []
    agenda.at(1, done.append, 1)
    agenda.at(2, done.append, 2)
    assert agenda.step(10)
    assert done == [1]
    assert not agenda.step(1)
    assert agenda.step(10)
    assert not agenda.step(10)
    assert (done, agenda.now_ns) == ([1, 2], 10)
