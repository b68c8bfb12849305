"""How many user events may wait: what fits into one packet, of everybody's together."""

from serfcompat.serf.event_flow import ENTRY_OVERHEAD, EventFlow
from serfcompat.swim.queue import TransmitLimitedQueue

from .nodes import Cluster

PACKET, MOST = 1400, 4096


def flow():
    queue = TransmitLimitedQueue(4)
    return queue, EventFlow(queue)


def test_as_much_may_wait_as_fits_into_one_packet():
    queue, events = flow()
    size = 97
    for _ in range(PACKET // (size + ENTRY_OVERHEAD)):
        assert events.has_room(size, PACKET, MOST)
        events.put(b"x" * size, PACKET)
    assert not events.has_room(size, PACKET, MOST)
    assert len(queue) == 14


def test_a_share_of_the_packet_is_ours_whatever_others_send():
    queue, events = flow()
    for _ in range(100):
        queue.put(b"x" * 97, unique=True)
    for _ in range(3):
        assert events.has_room(97, PACKET, MOST)
        events.put(b"o" * 97, PACKET)
    assert not events.has_room(97, PACKET, MOST)


def test_nothing_is_added_to_a_queue_that_would_be_cut():
    queue, events = flow()
    queue.put(b"x", unique=True)
    assert events.has_room(1, PACKET, 2)
    assert not events.has_room(1, PACKET, 1)


def test_what_fits_no_packet_goes_alone():
    _queue, events = flow()
    assert events.has_room(5000, PACKET, MOST)
    events.put(b"x" * 5000, PACKET)
    assert events.has_room(50, PACKET, MOST)


def test_what_was_sent_often_enough_makes_room():
    cluster = Cluster("a", "b", "c")
    node = cluster["a"]
    sent = 0
    while node.engine.has_room("e", b"%d" % sent, False):
        cluster.step("a", lambda n=sent: node.engine.user_event("e", b"%d" % n, False, cluster.now_ns))
        sent += 1
    assert 20 < sent < 60
    cluster.until(lambda: node.engine.has_room("e", b"x", False), within=5)


def test_offered_far_more_than_can_be_sent_all_that_is_accepted_arrives():
    cluster = Cluster("a", "b", "c")
    cluster.run(5)
    accepted = []
    for number in range(10_000):  # a thousand a second
        for name in ("a", "b"):
            node = cluster[name]
            payload = b"%s-%d" % (name.encode(), number)
            if node.engine.has_room("e", payload, False):
                accepted.append(payload)
                cluster.step(name, lambda n=node, p=payload: n.engine.user_event("e", p, False, cluster.now_ns))
        cluster.run(0.001)
    cluster.run(5)
    assert len(accepted) > 300
    for name in cluster.nodes:
        heard = {event.payload for event in cluster[name].events() if str(event.type) == "user"}
        assert heard == set(accepted), name


def test_alone_nothing_piles_up_and_who_comes_hears_it():
    cluster = Cluster("a")
    node = cluster["a"]
    for number in range(300):
        assert node.engine.has_room("e", b"%d" % number, False)
        cluster.step("a", lambda n=number: node.engine.user_event("e", b"%d" % n, False, cluster.now_ns))
    assert len(node.core.queues.events) < 60
    cluster.add("b")
    cluster.join("b", "a")
    assert len([event for event in cluster["b"].events() if str(event.type) == "user"]) == 300
