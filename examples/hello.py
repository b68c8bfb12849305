"""Two members in one program: a join, an event, a query, a leave."""

from serfcompat import Config, Serf


def member(name):
    return Serf(Config.local(node_name=name, bind_addr="127.0.0.1", bind_port=0))


with member("web-1") as one, member("web-2") as two:
    events = one.events(["user", "member-leave"])
    for each in (one, two):
        each.on("query:load", lambda query, each=each: each.respond(query, b"0.3"))

    two.join([one.local_member().address])
    print("web-2 sees", ", ".join(sorted(each.name for each in two.wait_for(2))))

    two.user_event("deploy", b"v2.1")
    event = events.get(timeout=5)
    print("web-1 heard", event.name, event.payload)

    for answer in sorted(two.query("load"), key=lambda answer: answer.from_):
        print("load of", answer.from_, "is", answer.payload)

    two.leave()
    print("web-1 sees a", events.get(timeout=5), "of web-2")
