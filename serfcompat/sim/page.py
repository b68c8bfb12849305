"""The report of an experiment as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import html
import itertools
import statistics
from collections.abc import Sequence

from serfcompat.sim import charts
from serfcompat.sim.bounds import memberlist_of
from serfcompat.sim.charts import Series, Strip
from serfcompat.sim.experiment import Experiment, Result, Spread
from serfcompat.sim.measure import Death
from serfcompat.sim.theory import infected
from serfcompat.sim.units import SECOND

_MOST_STRIPS = 24
_STYLE = """
:root { color-scheme: light dark; --page: #fbfbfa; --card: #fff; --ink: #1c1f23; --soft: #5d646c; --line: #e3e5e8;
  --series-1: #2563a8; --series-2: #c2571a; --alive: #8fb9a0; --suspect: #e0b13c; --failed: #b5443c; }
@media (prefers-color-scheme: dark) { :root { --page: #16181b; --card: #1e2125; --ink: #e8eaed; --soft: #9aa2ab;
  --line: #33383e; --series-1: #6ea8e6; --series-2: #ee8f55; --alive: #4f7f64; --suspect: #c79a35; --failed: #d4685f; }
}
body { margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 60rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.05rem; margin: 0 0 .25rem; }
p { margin: .25rem 0 .75rem; color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.25rem;
  margin-top: 1rem; overflow-x: auto; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem 1.5rem; margin: 0; }
dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; min-width: 28rem; height: auto; fill: var(--soft);
  font: 11px system-ui, sans-serif; }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); }
.legend { display: flex; flex-wrap: wrap; gap: 1rem; font-size: .85rem; }
.legend i { display: inline-block; width: 1rem; height: .25rem; margin-right: .4rem; vertical-align: middle;
  border-radius: 2px; } .legend .dashed { opacity: .7; }
pre { white-space: pre-wrap; color: var(--soft); font-size: .8rem; margin: 0; }
"""


def page(experiment: Experiment, result: Result, command: str) -> str:
    """The whole page.

    Args:
        command: What was typed, so that a reader can repeat it.
    """
    sections = [_summary(result), _infection(experiment, result), _detection(result), _traffic(result), _views(result)]
    title = f"{result.nodes} nodes, {result.killed} killed, {result.seconds:g} s"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1><p>{html.escape(command)}</p>"
        + "".join(f"<section>{section}</section>" for section in sections if section)
        + f"<section><h2>The scenario</h2><pre>{html.escape(str(experiment.scenario))}</pre></section></body></html>\n"
    )


def _summary(result: Result) -> str:
    rows = [
        ("killed and failed", f"{result.failed} of {result.killed}"),
        ("known to everybody", f"{result.disseminated} of {result.killed}"),
        ("false failures", str(result.false_failures)),
        ("false suspicions", str(result.false_suspicions)),
        ("first suspicion, median", _seconds(result.first_suspicion)),
        ("first detection, median", _seconds(result.first_detection)),
        ("full dissemination, median", _seconds(result.dissemination)),
        ("datagrams per node and second", f"{result.messages_per_node_second:.2f}"),
        ("bytes per node and second", f"{result.bytes_per_node_second:.0f}"),
        ("stream bytes per node and second", f"{result.stream_bytes_per_node_second:.0f}"),
    ]
    listed = "".join(f"<div><dt>{name}</dt><dd>{html.escape(value)}</dd></div>" for name, value in rows)
    return f"<h2>Summary</h2><dl>{listed}</dl>"


def _seconds(spread: Spread) -> str:
    return "–" if spread.median is None else f"{spread.median:.2f} s"


def _infection(experiment: Experiment, result: Result) -> str:
    known = [death for death in result.measurement.deaths.values() if death.failed_ns]
    if not known:
        return ""
    config = memberlist_of(experiment.scenario.template())
    observers = result.nodes - result.killed
    delays = [sorted(ns - min(death.failed_ns.values()) for ns in death.failed_ns.values()) for death in known]
    end = max(max(some) for some in delays) / SECOND or config.gossip_interval
    times = [end * i / 200 for i in range(201)]
    measured = [
        (t, statistics.mean(min(1.0, sum(d <= t * SECOND for d in some) / observers) for some in delays)) for t in times
    ]
    loss = experiment.scenario.conditions.loss
    fan_out, interval = config.gossip_nodes, config.gossip_interval or 1.0
    theory = [(t, infected(observers, fan_out, t / interval, loss=loss) / observers) for t in times]
    chart = charts.line_chart(
        [
            Series("measured, mean of all deaths", measured, "series-1"),
            Series("logistic curve from one node", theory, "series-2", dashed=True),
        ],
        "seconds since the first node declared it failed",
        "nodes that know",
        percent=True,
    )
    return (
        "<h2>How the news spreads</h2><p>The curve of theory begins with one node; where several suspicion timers run "
        f"out at about the same time, the real one is ahead of it.</p>{chart}"
    )


def _detection(result: Result) -> str:
    deaths = list(result.measurement.deaths.values())
    suspected = [ns / SECOND for death in deaths if (ns := death.first_suspicion_ns) is not None]
    detected = [ns / SECOND for death in deaths if (ns := death.first_detection_ns) is not None]
    if not detected:
        return ""
    chart = charts.histogram(
        [("first suspicion", suspected, "series-2"), ("first declared failed", detected, "series-1")],
        "seconds since the kill",
        "killed nodes",
    )
    return f"<h2>How soon failures are detected</h2><p>One count per killed node.</p>{chart}"


def _traffic(result: Result) -> str:
    samples = result.measurement.samples
    rates = [later - earlier for earlier, later in itertools.pairwise(samples)]
    nodes = result.nodes

    def line(name: str, values: Sequence[int], colour: str) -> Series:
        return Series(name, [(i + 1.0, value / nodes) for i, value in enumerate(values)], colour)

    packets = charts.line_chart(
        [line("datagrams", [rate.packets for rate in rates], "series-1")], "seconds", "datagrams / node / s"
    )
    sizes = charts.line_chart(
        [
            line("datagrams", [rate.packet_bytes for rate in rates], "series-1"),
            line("streams", [rate.stream_bytes for rate in rates], "series-2"),
        ],
        "seconds",
        "bytes / node / s",
    )
    return f"<h2>Traffic</h2><p>Sent, divided by all nodes.</p>{packets}{sizes}"


def _views(result: Result) -> str:
    deaths = list(result.measurement.deaths.values())
    if not deaths:
        return ""
    observers, end = max(1, result.nodes - result.killed), result.seconds
    times = [end * i / 240 for i in range(241)]
    rows = [_strip(death, times, observers) for death in deaths[:_MOST_STRIPS]]
    more = f" The first {_MOST_STRIPS} of {len(deaths)}." if len(deaths) > _MOST_STRIPS else ""
    chart = charts.strips(
        rows, [("failed", "failed"), ("suspect", "suspect"), ("alive", "alive")], "seconds since the start"
    )
    return f"<h2>What the others think of the killed nodes</h2><p>One row per killed node.{more}</p>{chart}"


def _strip(death: Death, times: Sequence[float], observers: int) -> Strip:
    failed = [sum(ns <= t * SECOND for ns in death.failed_ns.values()) / observers for t in times]
    suspect = [
        sum(
            ns <= t * SECOND and death.failed_ns.get(observer, ns + (1 << 62)) > t * SECOND
            for observer, ns in death.suspected_ns.items()
        )
        / observers
        for t in times
    ]
    failed = [min(1.0, share) for share in failed]
    suspect = [min(1.0 - f, share) for f, share in zip(failed, suspect, strict=True)]
    alive = [1.0 - f - s for f, s in zip(failed, suspect, strict=True)]
    return Strip(death.name, times, [failed, suspect, alive])
