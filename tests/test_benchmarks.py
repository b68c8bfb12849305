"""The benchmarks run, check what they measure, and leave no row of Go's out. How fast is not asked here."""

import json

import pytest

from benchmarks import api
from benchmarks.report import go_cases
from benchmarks.run import main

QUICK = ("--seconds", "0", "--repeat", "1")


def test_every_row_of_go_is_measured(tmp_path, capsys):
    path = tmp_path / "new" / "bench.json"
    assert main([*QUICK, "--json", str(path)]) == 0
    found = json.loads(path.read_text(encoding="utf-8"))
    assert {case["number"] for case in found["cases"]} == {row.number for row in go_cases()} == set(range(1, 27))
    assert all(case["median_us"] > 0 for case in found["cases"])
    assert found["yardstick_us"] > 0
    assert "Vivaldi update, 8 dimensions" in capsys.readouterr().out


def test_a_part_can_be_chosen_by_number_range_and_area(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*QUICK, "--only", "1,24-25,vivaldi", "--markdown"]) == 0
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert rows[1:] == ["1", "24", "25", "26"]
    assert not list(tmp_path.iterdir())  # a part doesn't replace the figures of a whole run


@pytest.mark.parametrize("only", ["0", "27", "20-30", "nonsense", "", "3-1"])
def test_a_part_that_is_none_is_refused(only, capsys):
    assert main([*QUICK, "--only", only or ","]) == 2
    assert "--only" in capsys.readouterr().err


def test_calls_of_the_api_are_measured_from_both_homes(tmp_path, capsys):
    path = tmp_path / "api.json"
    assert api.main(["--seconds", "0", "--repeat", "1", "--json", str(path)]) == 0
    found = json.loads(path.read_text(encoding="utf-8"))["rates"]
    assert {rate["caller"] for rate in found} == {"greenlet", "thread", "4 threads together"}
    assert {"members() of 1,000", "user_event()"} <= {rate["what"] for rate in found}
    assert all(rate["median"] > 0 for rate in found)
    assert "| user_event() | thread |" in capsys.readouterr().out
