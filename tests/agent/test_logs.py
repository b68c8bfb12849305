"""Where log lines go (spec agent §6)."""

from __future__ import annotations

import logging
import re

import pytest

from serfcompat.agent.logs import HISTORY, LEVELS, TRACE, LogPipeline, install, passes, uninstall

LINE = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(\w+)\] (.*)", re.DOTALL)


@pytest.fixture
def out():
    return []


@pytest.fixture
def pipeline(out):
    pipeline = LogPipeline(out.append)
    install(pipeline)
    yield pipeline
    uninstall(pipeline)


log = logging.getLogger("serfcompat.agent")


@pytest.mark.statement("A-255", "A-102")
def test_levels_have_gos_names(pipeline, out):
    pipeline.threshold = "TRACE"
    pipeline.open_gate()
    for level in (TRACE, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(level, "agent: %s", "x")
    assert [LINE.fullmatch(line).groups() for line in out] == [(word, "agent: x") for word in (*LEVELS, "ERR")]


@pytest.mark.statement("A-103")
def test_the_gate_holds_back_and_lets_out_in_order(pipeline, out):
    log.info("first")
    log.debug("too low")
    log.info("second")
    assert out == []
    pipeline.open_gate()
    log.info("third")
    assert [LINE.fullmatch(line).group(2) for line in out] == ["first", "second", "third"]


@pytest.mark.statement("A-230")
def test_monitors_get_the_last_512_of_any_level(pipeline):
    for number in range(HISTORY + 10):
        log.debug("line %d", number)
    seen = []
    pipeline.add_monitor(seen.append)
    assert len(seen) == 512
    assert seen[0].endswith("line 10")
    log.log(TRACE, "live")
    assert seen[-1].endswith("[TRACE] live")
    pipeline.remove_monitor(seen.append)
    pipeline.remove_monitor(seen.append)


def test_a_monitor_may_go_while_it_is_called(pipeline):
    seen = []

    def once(line):
        seen.append(line)
        pipeline.remove_monitor(once)

    pipeline.add_monitor(once)
    log.info("a")
    log.info("b")
    assert len(seen) == 1


def test_one_final_newline_goes_and_others_stay(pipeline):
    log.warning("agent: error joining: 1 error occurred:\n\t* x\n\n")
    assert pipeline.history[-1].endswith("\t* x\n")


def test_a_broken_log_call_breaks_nobody(pipeline, capsys):
    pipeline.emit(logging.LogRecord("x", logging.INFO, "", 0, "%d", ("no number",), None))
    log.info("fine")
    assert pipeline.history[-1].endswith("fine")
    assert "no number" in capsys.readouterr().err


@pytest.mark.statement("A-256")
@pytest.mark.parametrize(
    ("line", "level", "through"),
    [
        ("2026/11/24 04:29:00 [INFO] agent: x", "INFO", True),
        ("2026/11/24 04:29:00 [DEBUG] agent: x", "INFO", False),
        ("2026/11/24 04:29:00 [ERR] agent: x", "ERR", True),
        ("2026/11/24 04:29:00 [WARN] agent: x", "ERR", False),
        ("no level at all", "ERR", True),
        ("[BOGUS] x", "ERR", True),
        ("[INFO x", "ERR", True),
    ],
)
def test_what_passes_a_level(line, level, through):
    assert passes(line, level) is through


def test_everything_of_ours_is_logged_there(pipeline):
    logging.getLogger("serfcompat.memberlist").debug("memberlist: x")
    logging.getLogger("elsewhere").error("not ours")
    assert [LINE.fullmatch(line).group(2) for line in pipeline.history] == ["memberlist: x"]
