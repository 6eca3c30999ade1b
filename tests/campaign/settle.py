"""What follows a round: a read in every checkout, and taking over the locks of dead runs."""

import calendar
import collections
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ledger as ledgers
import program
import shell
from invariants import Violation
from journal import Outcome

# The exit code of what is locked or lost a race.
LOCKED = 4
# For how long a lease of a machine that is not this one is waited for.
PATIENCE = 8


def settle(round_):
    """Reads in every checkout, takes locks over, and rolls out where something was killed."""
    found = []
    _wait_for_leases(round_)
    found += _read_all(round_, is_last=False)
    found += _take_over(round_)
    # No lock is left now, so that nothing waits for runs that were killed.
    found += _read_all(round_, is_last=True)
    found += _go_on(round_)
    return found


def here():
    """This machine, as locks name it: its boot and the namespace of its processes."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{os.readlink('/proc/self/ns/pid')}"


def _wait_for_leases(round_):
    """Waits for the leases that end soon."""
    ends = [_ends(lock) for lock in ledgers.read(round_.world.remote).locks.values()]
    soon = [end for end in ends if 0 < end - time.time() < PATIENCE]
    if soon:
        time.sleep(max(soon) - time.time() + 0.5)


def _ends(lock):
    """When a lock's lease is over, by its own machine's clock."""
    return calendar.timegm(time.strptime(lock.get("expires_at", "1970-01-01T00:00:00Z"), "%Y-%m-%dT%H:%M:%SZ"))


def _read_all(round_, is_last):
    # One after the other at last: publications of two checkouts do not wait for each other.
    with ThreadPoolExecutor(1 if is_last else 4) as pool:
        violations = pool.map(lambda checkout: list(_read(round_, checkout, is_last)), round_.world.checkouts)
        return [violation for found in violations for violation in found]


def _read(round_, checkout, is_last):
    """A read publishes what is pending, unless another run holds a lock that it needs."""
    arguments = ["deployment", "status", "billing"]
    run = program.Run(arguments, checkout.path, round_.variables()).carry_out(round_.atmos)
    if run.code != 0:
        yield Violation("stuck", f"status in {checkout.name} ended with {run.code}: {_said(run)}")
    pending = shell.git(checkout.path, "for-each-ref", "--format=%(refname)", "refs/atmos/pending").splitlines()
    if pending and is_last:
        yield Violation("pending", f"{checkout.name} still keeps {', '.join(pending)}: {_said(run)}")


def _take_over(round_):
    """What is still locked can be had, at once where its holder died on this machine."""
    places = collections.defaultdict(dict)
    for name, lock in ledgers.read(round_.world.remote).locks.items():
        deployment, target, component = name.removeprefix(ledgers.LOCKS).split("/")
        places[deployment, target][component] = lock
    for (deployment, target), locks in sorted(places.items()):
        runs = {lock.get("run_id") for lock in locks.values()}
        what = f"{deployment}/{target} ({', '.join(locks)}), locked by {', '.join(map(str, runs))} that ended"
        code, said = _roll_out(round_, f"takeover-{deployment}-{target}", deployment, target)
        if code == LOCKED and any(lock.get("host") != here() for lock in locks.values()):
            yield from _unlock(round_, deployment, target, locks)
            code, said = _roll_out(round_, f"unlocked-{deployment}-{target}", deployment, target)
        if code != 0:
            yield Violation("takeover", f"{what}: a rollout ended with {code}: {said}")


def _unlock(round_, deployment, target, locks):
    arguments = ["deployment", "unlock", deployment, "--target", target, "--force"]
    for component in locks:
        arguments += ["--component", component]
    run = program.Run(arguments, round_.shared["shared-0"].path, round_.variables()).carry_out(round_.atmos)
    if run.code != 0:
        yield Violation("takeover", f"{deployment}/{target} cannot be unlocked: {_said(run)}")


def _go_on(round_):
    """A checkout in which something was killed takes another rollout all the same."""
    for at, checkout in enumerate(checkout for checkout in round_.world.checkouts if checkout.wounded):
        if at >= 6:
            return
        code, said = _roll_out(round_, f"after-{checkout.name}", "billing", "dev", checkout)
        if code != 0:
            yield Violation("stuck", f"a rollout in {checkout.name} ended with {code}: {said}")


def _roll_out(round_, rollout, deployment, target, checkout=None):
    """Rolls a whole deployment out; to what is promoted to, what then runs where it comes from."""
    if target == "prod":
        code, said = _roll_out(round_, f"{rollout}-source", deployment, "dev", checkout)
        if code != 0:
            return code, said
    checkout = checkout or round_.shared["shared-0"]
    outcome = Outcome(rollout, None, deployment, target, checkout.name)
    arguments = ["deployment", "rollout", deployment, "--target", target, "--format", "json"]
    if target == "prod":
        outcome.approval = f"reason-{rollout}"
        arguments += ["--promote-from", "dev", "--approve", outcome.approval]
    variables = round_.variables(CAMPAIGN_ROLLOUT=rollout)
    run = program.Run(arguments, checkout.path, variables).carry_out(round_.atmos)
    outcome.learn(run)
    round_.journal.claims(outcome)
    return run.code, _said(run)


def _said(run):
    """What it said, the error first."""
    lines = [line for line in run.stderr.decode(errors="replace").splitlines() if line and not line.startswith("{")]
    lines.sort(key=lambda line: line.startswith("Warning: "))
    return " | ".join(lines)[:600]
