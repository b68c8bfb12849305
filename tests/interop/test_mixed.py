"""Go agents and ours in one cluster: each does its part, and Go complains of nothing that it doesn't without us.

The clusters run side by side from the first test on, since they mostly wait; each test looks at one step
of one of them. The Go-only ones are the control: red there means that it isn't us.
"""

from __future__ import annotations

import pytest

from tests.interop.cases import CASES
from tests.interop.script import STEPS, Outcome

pytestmark = [
    pytest.mark.interop,
    pytest.mark.socket,
    pytest.mark.timeout(600),
    pytest.mark.parametrize("cluster", CASES, ids=str),
]


@pytest.mark.statement("S-204")
@pytest.mark.parametrize("step", STEPS)
def test_with_ours(clusters, cluster, step):
    check(clusters.with_ours(cluster), step)


@pytest.mark.parametrize("step", STEPS)
def test_control_of_go_alone(clusters, cluster, step):
    check(clusters.go_alone(cluster), step)


def test_go_complains_of_nothing_that_it_does_not_without_us(clusters, cluster):
    mixed = clusters.with_ours(cluster)
    unusual = set(mixed.go_complaints)
    for usual in clusters.usual_complaints(cluster):
        unusual -= usual
        if not unusual:
            return
    print(mixed.logs)
    pytest.fail(f"only with us: {unusual}")


def check(outcome: Outcome, step: str) -> None:
    complaint = outcome.steps.get(step)
    if complaint is None:
        pytest.fail("not reached: " + "; ".join(f"{title}: {text}" for title, text in outcome.steps.items() if text))
    if complaint:
        print(outcome.logs)
    assert not complaint
