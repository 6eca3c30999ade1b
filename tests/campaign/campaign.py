"""A campaign: rounds in processes of their own, until there is enough of everything."""

import collections
import itertools
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import clocks
import disk
import kinds
import mix
import plan as plans
import processes
import report
import rounds
import world

# How many a round plans, and how many they become with second attempts and those at the end.
PLANNED_OF_A_ROUND = 24
ROLLOUTS_OF_A_ROUND = 36
# Rounds that are added where faults had too little effect, as a share of those planned.
MORE = 0.5
# The kinds of rounds that are added for faults that had too little effect, by the first that fits.
SOURCES = (
    (mix.NETWORK, ("http-proxy", "daemon-proxy")),
    (("clocks",), ("daemon-clocks", "http-clocks")),
    (("nonatomic",), ("file-nonatomic", "http-nonatomic")),
    ((), ("file", "daemon")),
)


def main(options):
    """Runs a campaign or repeats rounds, and says what was found. Returns the exit code."""
    processes.adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    try:
        clock, why_no_clock = clocks.build(folder)
        campaign = Campaign(options, folder, clock)
        if why_no_clock:
            campaign.lacks.append(f"clocks that are wrong: {why_no_clock}")
        if not disk.can_mount(folder / "disk"):
            campaign.lacks.append("small file systems: full disks are limits on what processes write (RLIMIT_FSIZE)")
        return campaign.carry_out()
    finally:
        processes.end_all()
        disk.unmount_below(folder)
        shutil.rmtree(folder, ignore_errors=True)


def can_have_namespaces():
    """Whether writers can have a pid namespace of their own."""
    try:
        command = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--", "true"]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30).returncode == 0
    except OSError:
        return False


class Campaign:
    """Rounds, and what they add up to."""

    def __init__(self, options, folder, clock):
        self.options = options
        self.began = time.monotonic()
        self.template = world.template(options.atmos, folder, clock)
        self.namespaces = can_have_namespaces()
        self.lacks = [] if self.namespaces else ["writers in a pid namespace of their own: unshare is not allowed"]
        self.results = []
        self.failures = []
        self.processes = multiprocessing.get_context("fork")

    def carry_out(self):
        options = self.options
        if options.repeated:
            self._run(options.repeated)
            return report.tell(self, complete=False)
        number = max(1, -(-options.rollouts // ROLLOUTS_OF_A_ROUND))
        only = str(options.kind) if options.kind else None
        self._run(kinds.schedule(options.seed, number, only))
        if only is None:
            self._add_what_is_missing(number)
        return report.tell(self, complete=only is None)

    def _add_what_is_missing(self, number):
        """More rounds, while there are too few rollouts or too few faults of a kind."""
        more = iter(range(number, number + max(2, int(number * MORE))))
        while True:
            missing = mix.missing(self.faults(), self.rollouts())
            chosen = list(itertools.islice(more, self.options.jobs))
            if not chosen or (self.rollouts() >= self.options.rollouts and not missing):
                return
            sources = next(kinds_ for faults, kinds_ in SOURCES if not faults or set(faults) & set(missing))
            self._run([
                (kinds.Kind.parse(source), kinds.seed_of(self.options.seed, at))
                for source, at in zip(itertools.cycle(sources), chosen, strict=False)
            ])

    def _run(self, planned):
        """Carries rounds out, some at once."""
        waiting, running = list(planned), []
        try:
            while waiting or running:
                while waiting and len(running) < self.options.jobs:
                    running.append(self._start(*waiting.pop(0)))
                running = [round_ for round_ in running if not self._has_ended(*round_)]
                time.sleep(0.02)
        finally:
            for process, *_ in running:
                process.terminate()
                process.join(20)

    def _start(self, kind, seed):
        ours, theirs = self.processes.Pipe(duplex=False)
        process = self.processes.Process(target=self._round, args=(kind, seed, theirs))
        process.start()
        theirs.close()
        return process, ours, kind, seed, time.monotonic() + rounds.LIMIT + 60

    def _round(self, kind, seed, pipe):
        """What the process of a round does."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        plan = plans.make(kind, seed, PLANNED_OF_A_ROUND)
        # What servers say when they are cut off is no news.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            pipe.send(rounds.carry_out(self.options.atmos, plan, self.template, self.namespaces, self.options.keep))
        except Exception:
            pipe.send(traceback.format_exc())

    def _has_ended(self, process, pipe, kind, seed, deadline):
        if process.is_alive() and not pipe.poll() and time.monotonic() < deadline:
            return False
        try:
            result = pipe.recv() if pipe.poll() else None
        except EOFError:
            result = None
        process.join(30)
        if process.is_alive():
            process.terminate()
            process.join(20)
        if not isinstance(result, dict):
            self.failures.append(f"{kind} {seed} ended without a result: {result}")
        else:
            self.results.append(result)
            report.tell_round(result)
        return True

    def rollouts(self):
        return sum(result["rollouts"] for result in self.results)

    def faults(self):
        total = collections.Counter()
        for result in self.results:
            total.update(result["faults"])
        return total
