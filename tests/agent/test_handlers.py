"""What event scripts are told, and what becomes of what they say (spec agent §3), in agents of both kinds."""

from __future__ import annotations

import os

import pytest

from serfcompat.agent.handlers import environment, stdin_of
from serfcompat.agent.script import ScriptFailed, run_script
from serfcompat.rpc.client import Client
from serfcompat.rpc.records import QueryRecord
from serfcompat.serf.events import EventType, MemberEvent, UserEvent
from serfcompat.serf.member import Member, MemberStatus

# --- what a script is told -------------------------------------------------------------------------------------------


def member(name="n1", **tags):
    return Member(name, "10.0.0.1", 7946, tags, MemberStatus.ALIVE, 1, 5, 2, 2, 5, 5, b"\x0a\0\0\1")


EVENT = UserEvent(7, "deploy", b"v1", True)


@pytest.mark.statement("A-176")
@pytest.mark.parametrize(
    ("tag", "variable"),
    [
        ("data-center.1", "SERF_TAG_DATA_CENTER_1"),
        ("1st", "SERF_TAG_1ST"),
        ("a,b", "SERF_TAG_A_B"),
        ("Ünï", "SERF_TAG__N_"),
        ("ß", "SERF_TAG__"),
    ],
)
def test_names_of_tags_become_names_of_variables(tag, variable):
    assert environment(EVENT, member(**{tag: "x"}))[variable] == "x"


@pytest.mark.statement("A-178", "A-179")
def test_members_come_in_lines_of_four_fields():
    event = MemberEvent(EventType.MEMBER_JOIN, (member("a\tb\nc\\", role="x\ty", dc="1,2=3"), member("plain")))
    assert stdin_of(event) == b"a\\tb\\nc\\\t10.0.0.1\tx\\ty\trole=x\\ty,dc=1,2=3\nplain\t10.0.0.1\t\t\n"


@pytest.mark.statement("A-181")
@pytest.mark.parametrize(
    ("payload", "read"), [(b"v1", b"v1\n"), (b"v1\n", b"v1\n"), (b"", b""), (None, b""), (b"\n", b"\n")]
)
def test_payloads_end_with_a_newline(payload, read):
    assert stdin_of(UserEvent(1, "x", payload, False)) == read


# --- one run ---------------------------------------------------------------------------------------------------------


@pytest.mark.socket
@pytest.mark.statement("A-183", "A-184")
def test_the_end_of_all_output_is_kept():
    ran = run_script("printf '%9000s' x; printf end >&2; printf out", {}, b"")
    assert len(ran.output) == 8192
    assert ran.output.endswith(b"xendout")


@pytest.mark.socket
def test_how_scripts_end():
    assert run_script("exit 3", {}, b"").failure == "exit status 3"
    assert run_script("kill -KILL $$", {}, b"").failure == "signal: killed"
    assert run_script("no-such-program", {}, b"").failure == "exit status 127"
    assert run_script("cat", {"x": "y"}, b"all of it" * 100_000).output[-9:] == b"all of it"
    ran = run_script("exec <&-; sleep 0.05", {}, b"x" * 1_000_000)
    assert (ran.failure, ran.input_failure) == ("", "write |1: broken pipe")
    with pytest.raises(ScriptFailed):
        run_script("true", {"SERF_USER_EVENT": "a\0b"}, b"")


# --- in agents -------------------------------------------------------------------------------------------------------


class Handled:
    """An agent with handlers that write to files, and what they wrote."""

    def __init__(self, start, tmp_path, *handlers, name="n1", flags=(), **options):
        self.path = tmp_path
        options.setdefault("cwd", tmp_path)
        self.agent = start(
            name, *(f"-event-handler={each}" for each in handlers), "-log-level=debug", *flags, **options
        )
        self.client = Client(self.agent.rpc)

    def event(self, name, payload=None, **options):
        """Send a user event and wait until all handlers are through with it."""
        self.client.user_event(name, payload, **options)
        self.agent.wait_for(f"agent: Received event: user-event: {name}")
        self.client.user_event("after-" + name)
        self.agent.wait_for(f"agent: Received event: user-event: after-{name}")

    def read(self, name):
        return (self.path / name).read_text()


@pytest.fixture
def handled(start, tmp_path):
    made = []

    def make(*args, **options):
        made.append(Handled(start, tmp_path, *args, **options))
        return made[-1]

    yield make
    for each in made:
        each.client.close()


@pytest.mark.statement("A-174", "A-175", "A-176", "A-177")
def test_environment_and_directory(handled, tmp_path):
    env = os.environ | {"SERF_EVENT": "wrong", "SERF_SELF_ROLE": "wrong", "INHERITED": "yes"}
    agent = handled(
        "user:deploy=env > env; pwd > pwd; echo $0 > shell", flags=["-tag=role=web", "-tag=data-center.1=east"], env=env
    )
    agent.event("deploy", b"v1")
    variables = dict(line.split("=", 1) for line in agent.read("env").splitlines())
    assert variables["INHERITED"] == "yes"
    assert {key: value for key, value in variables.items() if key.startswith("SERF_")} == {
        "SERF_EVENT": "user",
        "SERF_SELF_NAME": "n1",
        "SERF_SELF_ROLE": "web",
        "SERF_TAG_ROLE": "web",
        "SERF_TAG_DATA_CENTER_1": "east",
        "SERF_USER_EVENT": "deploy",
        "SERF_USER_LTIME": "1",
    }
    assert agent.read("pwd") == f"{tmp_path}\n"
    assert agent.read("shell") == "/bin/sh\n"


@pytest.mark.statement("A-193")
def test_handlers_see_tags_as_they_are_now(handled):
    agent = handled("user:look=echo $SERF_TAG_COLOUR > colour", flags=["-tag=colour=red"])
    agent.client.update_tags({"colour": "blue"})
    agent.event("look")
    assert agent.read("colour") == "blue\n"


@pytest.mark.statement("A-178", "A-179", "A-180")
def test_member_events(handled, start):
    agent = handled("member-join=cat > members; echo $SERF_EVENT > kind", flags=["-tag=role=lb"])
    agent.agent.settle()
    others = [start(f"n{number}", f"-join={agent.agent.gossip}") for number in (2, 3)]
    agent.agent.wait_for("agent: Received event: member-join", count=2)
    agent.event("drain")
    # The two joins fall into one period of coalescing, unless the machine is slow.
    lines = agent.read("members").splitlines(keepends=True)
    wanted = {f"{other.name}\t{other.host}\t\t\n" for other in others}
    assert set(lines) <= wanted
    assert agent.read("kind") == "member-join\n"


@pytest.mark.statement("A-180")
def test_events_that_are_coalesced_come_as_several_lines(handled, start):
    with Client(start("n2").rpc) as two, Client(start("n3").rpc) as three:
        agent = handled("member-join=cat > joined")
        agent.agent.settle()
        two.join([agent.agent.gossip])
        three.join([agent.agent.gossip])
        agent.agent.wait_for("agent: Received event: member-join", count=2)
        agent.event("drain")
    assert sorted(line.split("\t")[0] for line in agent.read("joined").splitlines()) == ["n2", "n3"]


@pytest.mark.statement("A-181", "A-182")
def test_payloads_and_coalescing(handled):
    agent = handled("user:a=cat >> a", "user:b=cat >> b", "user:c=wc -c > c")
    for payload in (b"1", b"2\n", b"3"):
        agent.client.user_event("a", payload, coalesce=True)
        agent.client.user_event("b", payload)
    agent.event("c", b"")
    agent.agent.wait_for("agent: Received event: user-event: a\n")
    agent.event("drain")
    assert agent.read("a") == "3\n"
    assert agent.read("b") == "1\n2\n3\n"
    assert agent.read("c").strip() == "0"


@pytest.mark.statement("A-184", "A-185")
def test_output_and_failures_are_logged(handled):
    agent = handled("user:loud=echo out; echo err >&2", "user:bad=exit 3")
    agent.event("loud")
    agent.agent.wait_for("[DEBUG] agent: Event 'user' script output: out")
    assert "script output: out\nerr\n" in agent.agent.output
    agent.event("bad")
    agent.agent.wait_for("[ERR] agent: Error invoking script 'exit 3': exit status 3")


@pytest.mark.statement("A-183")
def test_long_output_is_cut_at_the_front(handled):
    agent = handled("user:long=printf '%9000s' x; printf end")
    agent.event("long")
    line = agent.agent.wait_for("script output: ")
    assert len(line.partition("script output: ")[2].removesuffix("\n")) == 8192
    assert line.endswith("xend\n")


@pytest.mark.statement("A-186", "A-192")
def test_a_slow_script_is_mentioned_and_waited_for(handled):
    agent = handled("user:slow=sleep 1.2; echo first >> order", "user:slow=echo second >> order")
    agent.event("slow")
    assert (
        agent.agent.output.count("[WARN] agent: Script 'sleep 1.2; echo first >> order' slow, execution exceeding 1s\n")
        == 1
    )
    assert agent.read("order") == "first\nsecond\n"


@pytest.mark.statement("A-187", "A-188", "A-177")
def test_answers_to_queries(handled):
    agent = handled(
        "query:load=cat; echo $SERF_QUERY_NAME $SERF_QUERY_LTIME; echo err >&2",
        "query:fails=echo out; exit 1",
        "query:silent=true",
    )
    assert list(agent.client.query("load", b"15m", timeout=2)) == [QueryRecord("response", "n1", b"15m\nload 1\nerr\n")]
    for name in ("fails", "silent"):
        assert list(agent.client.query(name, timeout=0.5)) == []


@pytest.mark.statement("A-189", "A-190", "A-191")
def test_answers_that_are_refused(handled):
    agent = handled(
        "query:twice=echo 1",
        "query:twice=echo 2",
        "query:long=printf '%1500s' x",
        "query:late=sleep 0.6; echo 1",
    )
    assert [record.payload for record in agent.client.query("twice", timeout=2)] == [b"1\n"]
    failed = "[WARN] agent: Failed to respond to query 'query: {}': failed to respond to key query: response {}\n"
    agent.agent.wait_for(failed.format("twice", "already sent").strip())
    assert list(agent.client.query("long", timeout=2)) == []
    agent.agent.wait_for(failed.format("long", "exceeds limit of 1024 bytes").strip())
    assert list(agent.client.query("late", timeout=0.3)) == []
    agent.agent.wait_for(failed.format("late", "is past the deadline").strip())


@pytest.mark.statement("A-194")
def test_internal_queries_are_nobodys_business(handled):
    agent = handled("*=echo $SERF_EVENT $SERF_QUERY_NAME >> events")
    list(agent.client.query("_serf_ping", request_ack=True, timeout=0.5))
    agent.event("drain")
    assert "query" not in agent.read("events")


def test_a_name_that_no_variable_can_hold_stops_nothing(handled):
    agent = handled("user=true")
    agent.client.user_event("a\0b")
    agent.event("drain")
