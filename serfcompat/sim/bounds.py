"""How long things may take: bounds that checkers hold a cluster to, computed from its configuration.

They are worst cases of the protocol, not typical values. Where chance decides (gossip,
whom a push/pull goes to) they leave so many rounds that a miss is less likely than one
in a million runs.
"""

from __future__ import annotations

import math

from serfcompat.serf.config import Config
from serfcompat.sim.host import Template
from serfcompat.swim.config import MemberlistConfig, Timing, seconds_to_ns
from serfcompat.swim.pushpull import scaled_interval

_ROUNDS = 16
"""Rounds of push/pull, or of reconnecting, after which each node was met. In a round every node
picks one at random, so one is met by nobody with a chance of 1/e: after 16, one in nine million."""


def memberlist_of(template: Template) -> MemberlistConfig:
    return template.memberlist if isinstance(template, Config) else template


def shortest_suspicion_ns(config: MemberlistConfig, nodes: int, accusers: int) -> int:
    """The least that a suspicion lasts in a cluster of `nodes` if only `accusers` ever suspected (Lifeguard §IV-B).

    `min` for a fixed timeout; else `max - (max - min) · log(c + 1) / log(k + 1)`, with c confirmations: all
    accusers but the first. A millisecond is given away, because the engine floors to it.
    """
    scale = max(1.0, math.log10(max(1, nodes)))
    shortest = config.suspicion_mult * scale * config.probe_interval
    wanted = config.suspicion_mult - 2
    if wanted < 1 or nodes - 2 < wanted:
        return seconds_to_ns(shortest * 0.999 - 0.001)
    longest = shortest * config.suspicion_max_timeout_mult
    confirmations = min(max(accusers - 1, 0), wanted)
    wait = longest - (longest - shortest) * math.log(confirmations + 1) / math.log(wanted + 1)
    return seconds_to_ns(wait * 0.999 - 0.001)


def longest_suspicion_ns(config: MemberlistConfig, nodes: int) -> int:
    """The most that a suspicion lasts: nobody confirms it, and the node that suspects gets a last grace."""
    scale = max(1.0, math.log10(max(1, nodes)))
    longest = config.suspicion_mult * scale * config.probe_interval * max(config.suspicion_max_timeout_mult, 1)
    return seconds_to_ns(longest + config.probe_timeout)


def calm_down_ns(config: MemberlistConfig, nodes: int) -> int:
    """After the last fault: until no suspicion that it caused is left, and nobody has a reason for a new one.

    A probe under way ends after at most `awareness_max_mult` intervals; what it suspects is
    refuted, or the timer runs out, and that news spreads.
    """
    probe = seconds_to_ns(config.probe_interval) * max(config.awareness_max_mult, 1)
    return probe + longest_suspicion_ns(config, nodes) + spread_ns(config, nodes)


def spread_ns(config: MemberlistConfig, nodes: int) -> int:
    """Until gossip has passed a claim on as often as it will: each node sends it `mult · ceil(log10(n + 1))` times.

    Who has heard it last still has all of that before it; the epidemic itself takes log2 n rounds.
    """
    transmits = config.retransmit_mult * math.ceil(math.log10(nodes + 1))
    rounds = math.ceil(math.log2(nodes + 1)) + transmits
    return rounds * seconds_to_ns(config.gossip_interval or config.probe_interval)


def detection_ns(config: MemberlistConfig, nodes: int) -> int:
    """From a crash until somebody suspects: at most 2n - 1 probes of one node, which first may have to get well."""
    interval = seconds_to_ns(config.probe_interval)
    recovery = interval * sum(range(1, max(config.awareness_max_mult, 1) + 1))
    return (2 * nodes - 1) * interval + recovery


def convergence_ns(template: Template, nodes: int) -> int:
    """After the last fault: until every node sees exactly the running ones as alive."""
    config = memberlist_of(template)
    timing = Timing.of(config)
    anti_entropy = _ROUNDS * scaled_interval(timing.push_pull_interval_ns, nodes)
    again = 0
    if isinstance(template, Config):
        again = _ROUNDS * seconds_to_ns(template.reconnect_interval)
    elif config.lost_node_retry_time:
        again = _ROUNDS * scaled_interval(timing.push_pull_interval_ns, nodes)
    forget = timing.gossip_to_the_dead_time_ns + (2 * nodes + 1) * timing.probe_interval_ns
    return calm_down_ns(config, nodes) + detection_ns(config, nodes) + anti_entropy + again + forget
