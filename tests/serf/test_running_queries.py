"""Queries of ours that still take answers, and whom we have answered."""

from serfcompat.serf.running_queries import Answers, RunningQueries, RunningQuery


def test_room_is_what_was_not_taken_yet():
    answers = Answers(2)
    assert [answers.accept(name) for name in (b"a", b"b", b"c")] == [True, True, False]
    assert answers.from_ == {b"a", b"b"}
    answers.room += 1
    assert answers.accept(b"c")


def test_a_query_is_over_after_its_deadline_or_when_closed():
    query = RunningQuery(1, 2, 100, 5, request_ack=False)
    assert query.acks is None
    assert not query.finished(100)
    assert query.finished(101)
    query.closed = True
    assert query.finished(0)


def test_answered_queries_are_forgotten_in_order():
    queries = RunningQueries()
    for ltime in range(5000):
        queries.set_answered((ltime, 1))
    assert not queries.answered((0, 1))
    assert not queries.answered((5000 - 4096 - 1, 1))
    assert queries.answered((5000 - 4096, 1))
    assert queries.answered((4999, 1))
