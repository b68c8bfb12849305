"""The matrix of the interop harness: its cells, its results in four formats, its account of the machine."""

from __future__ import annotations

import socket
import threading
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from interop import cells, labels, matrix, report
from interop.cells import Cell, Group
from interop.steps import Outcome

SHORT = cells.read(full=False)


def test_the_full_matrix_is_every_combination():
    full = cells.read(full=True)
    assert len(full.cells) == 2 * 2 * 11 * 4
    assert set(SHORT.cells) < set(full.cells)


def test_the_short_matrix_has_both_versions_of_both_and_what_matters_most():
    assert {cell.go for cell in SHORT.cells} == {"0.9.4", "0.10.1"}
    assert {cell.python for cell in SHORT.cells} == {"3.11", "3.13"}
    assert {"compressed", "compression-off", "encrypted-32", "rotated-key"} <= {c.configuration for c in SHORT.cells}


def test_a_cell_has_its_control_groups():
    groups = Cell("0.9.4", "3.11", "compressed", 3).groups
    assert groups == {
        "mixed": Group("0.9.4:2", "3.11:1", "compressed"),
        "Go alone": Group("0.9.4:3", "", "compressed"),
        "Python alone": Group("", "3.11:3", "compressed"),
    }


def test_a_control_group_that_cells_share_runs_once():
    assert len(SHORT.groups) == len(set(SHORT.groups)) < 3 * len(SHORT.cells)


def test_a_cell_that_there_is_not_is_an_error(tmp_path):
    text = Path(cells.FILE).read_text().replace('"go 0.9.4, python 3.11, compressed, 3"', '"go 9, compressed"')
    (tmp_path / "matrix.toml").write_text(text)
    with pytest.raises(ValueError, match="no such cell: go 9, compressed"):
        cells.read(full=False, file=tmp_path / "matrix.toml")


def test_in_processes_the_python_that_is_there_stands_in_for_the_first():
    before, after = SHORT.cells, SHORT.in_processes("3.12").cells
    assert [cell.python for cell in after] == [{"3.11": "3.12"}.get(cell.python, cell.python) for cell in before]
    assert SHORT.in_processes("3.11") == SHORT


def result(**outcomes):
    """The short matrix of which all is good, but for the groups of these roles in the first cell."""
    found = dict.fromkeys(SHORT.groups, Outcome(seconds=20.0, steps={"start": 1.0}))
    for role, outcome in outcomes.items():
        found[SHORT.cells[0].groups[role.replace("_", " ")]] = outcome
    labels = {each["what"]: Outcome(seconds=9.0) for each in SHORT.labels}
    return report.Result(SHORT, found, "namespaces", 100.0, "serfcompat 1.0", labels)


BAD = Outcome(wrong="AssertionError: <lost> & gone\x1b[0m", step="events", seconds=3.0)
MISSING = Outcome(missing="no Python 3.13 here")


def test_all_good(tmp_path):
    good = result()
    count, with_label = len(SHORT.cells) + len(SHORT.labels), len(SHORT.labels)
    clusters = len(SHORT.groups) + with_label
    assert good.verdict == f"{count} of {count} cells good ({clusters} clusters in namespaces, 100 s)"
    report.write(good, tmp_path)
    suite = ET.parse(tmp_path / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == (str(3 * len(SHORT.cells) + with_label + 1), "0")
    assert f">{count} of {count}<" in (tmp_path / "badge.svg").read_text()
    assert report.COLOURS["good"] in (tmp_path / "badge.svg").read_text()
    assert "✗" not in (tmp_path / "matrix.md").read_text()


def test_what_failed_is_told_everywhere(tmp_path):
    bad = result(mixed=BAD)
    assert bad.failed == [str(SHORT.cells[0])]
    report.write(bad, tmp_path)
    (failure,) = ET.parse(tmp_path / "junit.xml").getroot().iter("failure")
    assert failure.get("message").startswith("events: AssertionError: <lost> & gone")
    row = next(line for line in (tmp_path / "matrix.md").read_text().splitlines() if "✗" in line)
    assert row.startswith("| 0.9.4 | 3.11 | compressed | 3 | ✗ 3 s | ✓ 20 s |")
    assert "&lt;lost&gt; &amp; gone" in (tmp_path / "matrix.html").read_text()
    assert report.COLOURS["bad"] in (tmp_path / "badge.svg").read_text()
    ET.fromstring((tmp_path / "badge.svg").read_text())


def test_what_the_machine_can_not_do_is_neither_good_nor_failed(tmp_path):
    some = result(Python_alone=MISSING)
    assert not some.failed
    assert some.missing == [
        str(cell) for cell in SHORT.cells if SHORT.cells[0].groups["Python alone"] in cell.groups.values()
    ]
    report.write(some, tmp_path)
    skipped = [each.get("message") for each in ET.parse(tmp_path / "junit.xml").getroot().iter("skipped")]
    assert "no Python 3.13 here" in skipped
    assert "no Python 3.13 here" in (tmp_path / "matrix.md").read_text()


def test_a_label_that_does_not_keep_out_is_a_failure(tmp_path):
    bad = result()
    bad = replace(bad, labels=dict.fromkeys(bad.labels, BAD))
    assert bad.failed == [each["what"] for each in SHORT.labels]
    assert report.markdown(bad).count("✗") == len(SHORT.labels)
    assert report.html(bad).count("✗") == len(SHORT.labels)


@pytest.mark.socket
def test_a_label_keeps_ours_together_and_others_out():
    assert labels.run("alone", "loopback").good


def test_an_alertmanager_is_not_tried_in_processes():
    assert "only a container has them" in labels.run("alertmanager", "loopback").missing


def test_the_result_is_put_into_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- result -->\nold\n<!-- end of result -->\nafter\n")
    report.document(result(), page)
    report.document(result(), page)
    text = page.read_text()
    assert text == f"before\n<!-- result -->\n{report.markdown(result())}<!-- end of result -->\nafter\n"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="no place for a result"):
        report.document(result(), page)


def test_what_is_not_applicable_says_why():
    text = report.markdown(result())
    assert "serf's binaries have no setting for a label" in text
    assert "not applicable" in report.junit(result()).decode()


@pytest.mark.socket
def test_an_engine_is_found_by_its_answer_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine")
    assert not matrix.engine_answers()
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(f"{tmp_path}/engine")
        engine.listen()

        def answer():
            connection, _ = engine.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")

        thread = threading.Thread(target=answer)
        thread.start()
        assert matrix.engine_answers()
        thread.join()


def test_an_engine_that_is_not_used_is_a_failure(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("SERFCOMPAT_BACKEND", raising=False)
    monkeypatch.setattr(matrix, "engine_answers", lambda: True)
    why = {"containers": "docker is not installed", "namespaces": "", "loopback": ""}
    monkeypatch.setattr(matrix.backends, "reasons", lambda: why)
    monkeypatch.setattr(matrix.signal, "signal", lambda *_: None)
    assert matrix.main(["--into", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "back end: namespaces; no containers: docker is not installed" in told.out
    assert "a container engine answers, but containers are not used: docker is not installed" in told.err


def test_cells_can_be_listed_and_chosen(capsys):
    assert matrix.main(["--list", "--only", "rotated"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "go 0.9.4, python 3.11, rotated-key, 3",
        "go 0.10.1, python 3.11, rotated-key, 3",
    ]
    with pytest.raises(SystemExit) as ended:
        matrix.main(["--only", "nothing like it"])
    assert ended.value.code == 2
