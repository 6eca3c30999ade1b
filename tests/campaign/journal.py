"""The journal of a round, outside of the ledger: what components did, and what runs claimed."""

import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path


def uptime():
    """Seconds since boot, by the clock that components read, which no wrong clock touches."""
    return float(Path("/proc/uptime").read_text().split()[0])


@dataclass
class Outcome:
    """What became of one rollout."""

    # Unique among the processes of a round.
    rollout: str
    # As it was given; None where the program makes one up.
    run_id: str | None
    deployment: str
    target: str
    checkout: str
    # The exit code; negative after a signal.
    code: int | None = None
    # The document on stdout.
    document: dict | None = None
    # How many records it said that it had published, while it ran.
    published: int = 0
    approval: str | None = None
    # What was to go wrong, and what of it had an effect.
    planned: list = field(default_factory=list)
    faults: list = field(default_factory=list)
    # In a pid namespace, and on a machine whose clock is wrong by so many seconds.
    elsewhere: bool = False
    clock: int = 0
    began: float = 0.0
    ended: float = 0.0
    hung: bool = False
    stderr: str = ""

    def learn(self, run):
        """Takes over what a finished run told."""
        self.code, self.hung, self.published = run.code, run.hung, run.published
        self.began, self.ended = run.began, run.ended
        self.document = run.document()
        text = run.stderr.decode(errors="replace").splitlines()
        self.stderr = "\n".join(line for line in text if not line.startswith("{"))


@dataclass
class Work:
    """One start of a component's script."""

    rollout: str
    run_id: str
    deployment: str
    target: str
    component: str
    commit: str
    start: float
    # Whether it was seen to end, and when it certainly still worked.
    ended: bool
    end: float


class Journal:
    """Lines of components and outcomes of runs, in files."""

    def __init__(self, folder):
        self.components = folder / "components"
        self.outcomes = folder / "outcomes"
        self._lock = threading.Lock()
        self.components.touch()
        self.outcomes.touch()

    def claims(self, outcome):
        """Writes down how a run ended."""
        with self._lock, self.outcomes.open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")

    def about_to_kill(self, rollout, component="*"):
        """Writes down that a component, or all of a run, still work: they cannot say when they end."""
        with self._lock, self.components.open("a") as file:
            file.write(f"alive {rollout} 0 {uptime()} {component}\n")

    def read_outcomes(self):
        """All that was claimed."""
        return [Outcome(**json.loads(line)) for line in self.outcomes.read_text().splitlines()]

    def read_work(self):
        """All that components did."""
        works, open_works, alive = [], {}, {}
        for line in self.components.read_text().splitlines():
            word, rollout, process, uptime, *rest = line.split()
            if word == "start":
                work = Work(rollout, rest[4], *rest[:4], float(uptime), False, float(uptime))
                works.append(work)
                open_works[rollout, process, rest[2]] = work
            elif word == "end" and (work := open_works.pop((rollout, process, rest[2]), None)):
                work.ended, work.end = True, float(uptime)
            elif word == "alive":
                alive[rollout, rest[0]] = float(uptime)
        for work in open_works.values():
            seen = [alive.get((work.rollout, component), 0.0) for component in (work.component, "*")]
            work.end = max(work.start, *seen)
        return works
