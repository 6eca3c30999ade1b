"""Kinds of rounds: what the remote and its surroundings are. `KIND SEED` repeats a round."""

import hashlib
import random
from dataclasses import dataclass

TRANSPORTS = ("file", "daemon", "http")
OPTIONS = ("proxy", "nonatomic", "clocks", "slow", "calm")
# Three of four are behind the proxy: all faults of the network happen there.
MOST = ("http-proxy", "daemon-proxy", "file", "http-proxy", "daemon-proxy", "http-proxy")
CYCLE = (*MOST, "daemon", "daemon-proxy", *MOST, "http", "daemon-proxy")
# One round in so many has the option.
RARE = {"nonatomic": 6, "clocks": 10, "slow": 40}


@dataclass(frozen=True)
class Kind:
    """A transport and the options of a round."""

    transport: str
    options: frozenset

    @classmethod
    def parse(cls, text):
        """Reads `http-proxy-nonatomic`. Raises ValueError for anything that is no kind."""
        transport, *options = text.split("-")
        if transport not in TRANSPORTS or not set(options) <= set(OPTIONS) or len(set(options)) < len(options):
            raise ValueError(f"{text} is no kind: one of {', '.join(TRANSPORTS)}, then any of -{', -'.join(OPTIONS)}")
        if transport == "file" and "proxy" in options:
            raise ValueError("there is no connection to a remote on this disk that a proxy could cut")
        return cls(transport, frozenset(options))

    def __str__(self):
        return "-".join([self.transport, *(option for option in OPTIONS if option in self.options)])

    def has(self, option):
        return option in self.options


def schedule(seed, rounds, only=None):
    """The rounds of a campaign, each a kind and a seed."""
    chance = random.Random(f"schedule {seed}")
    kinds = [Kind.parse(only or CYCLE[at % len(CYCLE)]) for at in range(rounds)]
    if only is None:
        for option, one_in in RARE.items():
            for at in chance.sample(range(rounds), -(-rounds // one_in)):
                kinds[at] = Kind(kinds[at].transport, kinds[at].options | {option})
    return [(kind, seed_of(seed, at)) for at, kind in enumerate(kinds)]


def seed_of(seed, at):
    """The seed of a campaign's round."""
    return int.from_bytes(hashlib.sha256(f"{seed} {at}".encode()).digest()[:4], "big")
