"""The mix of faults: how many of each kind 1,000 rollouts meet at least, and where."""

import math

# Per 1,000 rollouts.
AT_LEAST = {
    "kill-program": 50,
    "kill-git": 15,
    "kill-component": 5,
    "sigint": 20,
    "sigterm": 15,
    "cut-sending": 35,
    "cut-receiving": 75,
    "refused": 35,
    "answer-lost": 35,
    "stalled": 35,
    "hook-refuses": 20,
    "hook-slow": 5,
    "upkeep-here": 30,
    "upkeep-there": 25,
    "disk-full": 8,
}
# Of rounds: counted where they were seen to have an effect.
OF_ROUNDS = ("nonatomic", "clocks")
# What documents call them.
WORDS = {
    "kill-program": "the program killed (`kill -9`)",
    "kill-git": "a git of the program killed",
    "kill-component": "a component killed",
    "sigint": "SIGINT",
    "sigterm": "SIGTERM",
    "cut-sending": "connection cut while sending",
    "cut-receiving": "connection cut while receiving",
    "refused": "connections refused",
    "answer-lost": "answer of an accepted push lost",
    "stalled": "connection stalled",
    "hook-refuses": "a hook that refuses some refs",
    "hook-slow": "a hook that takes seconds, or a minute",
    "upkeep-here": "gc, repack or pack-refs in a checkout",
    "upkeep-there": "gc, repack or pack-refs on the remote",
    "disk-full": "a full disk",
    "nonatomic": "rounds without atomic pushes",
    "clocks": "rounds with a record of a wrong clock",
}
# A campaign of so many rollouts has to have had every fault as often as the mix says.
LONG = 1000
NETWORK = ("cut-sending", "cut-receiving", "refused", "answer-lost", "stalled")
HOOKS = ("hook-refuses", "hook-slow")
UPKEEP = ("upkeep-here", "upkeep-there")
PROCESS = ("kill-program", "kill-git", "kill-component", "sigint", "sigterm", "disk-full", *HOOKS)
# The share of rounds behind the proxy.
PROXIED = 3 / 4
# What is planned for a round is for its own rollouts; second attempts, spare ones and those at the
# end come on top. And not every fault meets what it is meant for, although it is tried again.
MORE = {"kill-program": 3.4, "cut-sending": 2.6, "cut-receiving": 2.1}
MOSTLY = 2.3


def planned(fault):
    """How many of a fault are planned per 1,000 rollouts of a round that can have it."""
    share = PROXIED if fault in NETWORK else 1
    return AT_LEAST[fault] / share * MORE.get(fault, MOSTLY)


def required(number, rollouts):
    """How many of a fault so many rollouts have to meet, of a number per 1,000.

    A long campaign has to have them all. A short one expects its share, and chance decides by how
    much it falls short: by more than two deviations is too few.
    """
    share = number * rollouts / 1000
    if rollouts >= LONG:
        return max(1, round(share))
    return max(0, math.floor(share - 2 * math.sqrt(share)))


def missing(counts, rollouts):
    """The faults of the mix of which a campaign has had too few, and how many it should have had."""
    wanted = {fault: required(number, rollouts) for fault, number in AT_LEAST.items()}
    wanted.update({fault: int(rollouts >= LONG) for fault in OF_ROUNDS})
    return {fault: number for fault, number in wanted.items() if counts.get(fault, 0) < number}


def without_effect(counts):
    """The faults of the mix that had no effect at all."""
    return [fault for fault in (*AT_LEAST, *OF_ROUNDS) if not counts.get(fault, 0)]
