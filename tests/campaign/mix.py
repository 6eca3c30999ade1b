"""The mix of faults: how many of each kind 1,000 rollouts meet at least, and where."""

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


def missing(counts, rollouts):
    """The faults of the mix of which a campaign has had too few, and how many it should have had."""
    wanted = {fault: max(1, round(number * rollouts / 1000)) for fault, number in AT_LEAST.items()}
    wanted.update({fault: 1 for fault in OF_ROUNDS})
    return {fault: number for fault, number in wanted.items() if counts.get(fault, 0) < number}
