"""One round: a world, its writers, everything that goes wrong, and what is left of it."""

import collections
import shutil
import tempfile
import threading
import time
import traceback
from pathlib import Path

import clocks
import invariants
import plan as plans
import processes
import settle
import shell
from journal import Journal
from world import World
from writer import Writer

# No round takes longer. What has not begun by half of it does not begin.
LIMIT = 600


class Round:
    """What the threads of a round share."""

    def __init__(self, atmos, folder, plan, template, namespaces):
        self.atmos = atmos
        self.plan = plan
        self.namespaces = namespaces
        self.counts = collections.Counter()
        self._sharing = threading.Lock()
        self._missed, self._spares = [], list(plan.spares)
        self._deadline = time.monotonic() + LIMIT / 2
        self.journal = Journal(folder)
        self.world = World(folder, plan.kind, template)
        self.world.journal = self.journal
        self.clock = template.clock
        self.shared = {}
        self.problems = []

    def count(self, name):
        """Counts a fault that had an effect."""
        with self._sharing:
            self.counts[name] += 1

    def missed(self, fault):
        """Takes a fault back that met nothing, for a spare rollout."""
        with self._sharing:
            self._missed.append(fault)

    def spare(self):
        """A rollout for a fault that met nothing so far; None where there is no such fault, or none left."""
        with self._sharing:
            if not self._missed or not self._spares or self.is_over():
                return None
            step, fault = self._spares.pop(0), self._missed.pop(0)
        step.faults = [fault]
        if fault.name == "kill-component":
            step.sleeps = (fault.detail, 0.6)
        return step

    def is_over(self):
        return time.monotonic() > self._deadline

    def variables(self, seconds=0, **more):
        """What the program sees on a machine whose clock is wrong by so many seconds."""
        lease = {"ATMOS_LOCK_LEASE": str(self.plan.lease)} if self.plan.lease else {}
        journal = str(self.journal.components)
        wrong = clocks.variables(self.clock, seconds)
        return shell.environment(self.world.home, CAMPAIGN_JOURNAL=journal, **lease, **wrong, **more)

    def carry_out(self):
        """Lets every writer work, looks at what is left, and returns what does not hold."""
        for at in range(plans.SHARED_CHECKOUTS):
            name = f"shared-{at}"
            self.shared[name] = self.world.clone(name)
        threads = [threading.Thread(target=self._work, args=(writer,), daemon=True) for writer in self._writers()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        if any(thread.is_alive() for thread in threads):
            raise RuntimeError("a writer did not end")
        if self.problems:
            raise RuntimeError(self.problems[0])
        left = processes.wait_for_orphans(self._known(), 90 if self.plan.kind.has("slow") else 20)
        found = [invariants.Violation("ends", processes.command_line(process)) for process in left]
        found += settle.settle(self)
        found += invariants.check(self.world.remote, self.journal)
        self._count_what_is_of_rounds()
        return found

    def _known(self):
        """The processes of the remote's server."""
        server = getattr(self.world.server, "process", None)
        return {server.pid} if server else set()

    def _writers(self):
        for writer in self.plan.writers:
            yield Writer(self, writer, [step for step in self.plan.steps if step.writer == writer.number])

    def _work(self, writer):
        try:
            writer.work()
        except Exception:
            self.problems.append(traceback.format_exc())

    def _count_what_is_of_rounds(self):
        if self.plan.kind.has("nonatomic"):
            self.count("nonatomic")
        outcomes = {outcome.run_id: outcome for outcome in self.journal.read_outcomes() if outcome.run_id}
        for record in invariants.ledgers.read(self.world.remote).records:
            outcome = outcomes.get(record.get("run_id"))
            if outcome and clocks.is_wrong_by(outcome.clock, record.get("timestamp"), outcome.began, outcome.ended):
                self.count("clocks")
                break

    def result(self, violations):
        """What a campaign adds up."""
        outcomes = self.journal.read_outcomes()
        codes = collections.Counter(str(outcome.code) for outcome in outcomes)
        works = self.journal.read_work()
        return {
            "kind": str(self.plan.kind),
            "seed": self.plan.seed,
            "rollouts": len(outcomes),
            "elsewhere": sum(outcome.elsewhere for outcome in outcomes),
            "components": len(works),
            "exit_codes": dict(codes),
            "planned": dict(collections.Counter(fault.name for step in self.plan.steps for fault in step.faults)),
            "faults": dict(+self.counts),
            "violations": [{"invariant": violation.invariant, "text": violation.text} for violation in violations],
        }


def carry_out(atmos, plan, template, namespaces, keep=None, keep_sound=False):
    """Carries one round out in this process, which must be one of its own, and cleans up.

    What it leaves is kept in a folder of `keep`, where something was violated or sound ones are wanted as well.
    """
    processes.adopt_orphans()
    folder = Path(tempfile.mkdtemp(prefix="round-", dir=template.remote.parent))
    began = time.monotonic()
    round_ = None
    try:
        round_ = Round(atmos, folder, plan, template, namespaces)
        violations = round_.carry_out()
        result = round_.result(violations)
        result["seconds"] = round(time.monotonic() - began, 2)
        if keep and (violations or keep_sound):
            place = Path(keep) / f"{plan.kind}-{plan.seed}"
            shutil.copytree(folder, place, symlinks=True, dirs_exist_ok=True)
            result["kept"] = str(place)
        return result
    finally:
        if round_:
            round_.world.end()
        processes.end_all()
        shutil.rmtree(folder, ignore_errors=True)
