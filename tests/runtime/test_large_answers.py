"""Answers of up to 16 MiB between our nodes."""

import contextlib
import hashlib
import os
import socket

import pytest

from serfcompat import Config, PayloadTooLarge, Serf
from serfcompat.runtime import open_queries
from serfcompat.runtime.large_answers import GRACE_NS, MAX_KEPT, LargeAnswers
from serfcompat.wire.large_answer import MAX_ANSWER, PIECE, Fetch, Reference

from .programs import free_address

KEY = b"0123456789abcdef"


@pytest.fixture
def pair():
    """Starts two nodes in one cluster: asker, answerer."""
    with contextlib.ExitStack() as stack:

        def start(**config):
            nodes = [
                stack.enter_context(Serf(Config.local(node_name=name, bind_addr=free_address(), **config)))
                for name in ("asker", "answerer")
            ]
            nodes[1].join([nodes[0].local_member().address])
            nodes[0].wait_for(2, timeout=20)
            return nodes

        yield start


@pytest.mark.socket
@pytest.mark.parametrize("keys", [{}, {"secret_key": KEY}])
@pytest.mark.parametrize("size", [1500, PIECE, 3 * PIECE + 1])
def test_a_large_answer_arrives_whole(pair, keys, size):
    asker, answerer = pair(**keys)
    answer = os.urandom(size)
    answerer.on("query:dump", lambda query: answerer.respond(query, answer))
    (got,) = asker.query("dump", filter_nodes=["answerer"], timeout=20)
    assert (got.from_, got.payload == answer) == ("answerer", True)


@pytest.mark.socket
def test_the_largest_answer_arrives_and_one_byte_more_is_refused(pair):
    asker, answerer = pair()
    questions = answerer.events(["query:dump"])
    answers = asker.query("dump", filter_nodes=["answerer"], timeout=60)
    question = questions.get(20)
    with pytest.raises(PayloadTooLarge) as caught:
        answerer.respond(question, bytes(MAX_ANSWER + 1))
    assert (caught.value.limit, caught.value.size) == (MAX_ANSWER, MAX_ANSWER + 1)
    answer = os.urandom(MAX_ANSWER)
    answerer.respond(question, answer)
    assert hashlib.sha256(answers.get(60).payload).digest() == hashlib.sha256(answer).digest()


@pytest.mark.socket
def test_who_did_not_ask_for_it_never_sees_a_reference(pair):
    asker, answerer = pair()
    questions = answerer.events(["query:dump"])
    answers = asker.query("dump", filter_nodes=["answerer"], timeout=20, large_answers=False)
    question = questions.get(20)
    assert not question.large_answers
    with pytest.raises(PayloadTooLarge, match="response exceeds limit of 1024 bytes") as caught:
        answerer.respond(question, bytes(2000))
    assert caught.value.limit == 1024
    assert "up to 16 MiB" in caught.value.advice
    assert caught.value.advice in caught.value.__notes__[0]
    looks_like_one = Reference(bytes(32), 5).encode()
    answerer.respond(question, looks_like_one)
    assert [answer.payload for answer in answers] == [looks_like_one]


@pytest.mark.socket
def test_an_answer_that_can_not_be_fetched_is_none(pair, caplog):
    asker, answerer = pair()
    answerer.on("query:dump", lambda query: answerer.respond(query, Reference(bytes(32), 5).encode()))
    answers = asker.query("dump", filter_nodes=["answerer"], timeout=2)
    assert list(answers) == []
    assert answers.missing == {"answerer"}
    assert "could not be fetched: the node has no such answer any more" in caplog.text


@pytest.mark.socket
def test_strangers_get_nothing_and_do_no_harm(pair):
    _, answerer = pair()
    member = answerer.local_member()
    for request in (Fetch(b"x" * 32, 0).encode(), Fetch(b"", -1).encode(), Fetch(None, 1 << 40).encode()):
        with socket.create_connection((member.addr, member.port), timeout=20) as stream:
            stream.sendall(request)
            said = b""
            while data := stream.recv(1000):
                said += data
        assert said.endswith(b"UserMsgLen\x00")
    assert answerer.state.name == "ALIVE"


def test_what_is_kept_is_bounded_and_forgotten():
    answers = LargeAnswers()
    first = answers.offer(b"first", deadline_ns=0, now_ns=0)
    assert answers.piece(first.digest, 0) == b"first"
    assert answers.piece(first.digest, 3) == b"st"
    assert answers.piece(first.digest, 5) == answers.piece(first.digest, -1) == answers.piece(b"", 0) == b""
    for number in range(MAX_KEPT // MAX_ANSWER - 1):
        answers.offer(bytes([number]) * MAX_ANSWER, deadline_ns=0, now_ns=0)
    with pytest.raises(PayloadTooLarge, match="answer later or with less"):
        answers.offer(b"x" * MAX_ANSWER, deadline_ns=0, now_ns=0)
    answers.offer(b"x" * MAX_ANSWER, deadline_ns=0, now_ns=GRACE_NS + 1)
    assert answers.piece(first.digest, 0) == b""


@pytest.mark.socket
def test_answers_wait_until_others_were_taken(monkeypatch):
    """A thousand nodes may answer with 16 MiB each, and the caller may be slow."""
    monkeypatch.setattr(open_queries, "UNTAKEN", 1)
    with contextlib.ExitStack() as stack:
        nodes = [
            stack.enter_context(Serf(Config.local(node_name=name, bind_addr=free_address(), retransmit_mult=8)))
            for name in "abcd"
        ]
        for node in nodes[1:]:
            node.join([nodes[0].local_member().address])
            node.on("query:dump", lambda query, node=node: node.respond(query, node.config.node_name.encode() * 5000))
        for node in nodes:  # who doesn't know all can't pass the query on to all
            node.wait_for(4, timeout=60)
        answers = nodes[0].query("dump", filter_nodes=["b", "c", "d"], timeout=30)
        got = []
        for answer in answers:
            assert answers.untaken <= 1 + open_queries.FETCHES
            got.append((answer.from_, answer.payload[:1], len(answer.payload)))
        assert sorted(got) == [(name, name.encode(), 5000) for name in "bcd"]
