"""What has to hold of a ledger after everything that went wrong."""

import collections
import subprocess
from dataclasses import dataclass

import ledger as ledgers
import shell

RECORDED = ("success", "failed", "cancelled")


@dataclass(frozen=True)
class Violation:
    """An invariant that does not hold, and where."""

    invariant: str
    text: str

    def __str__(self):
        return f"{self.invariant}: {self.text}"


def check(remote, journal):
    """Every violation in a remote's ledger, given what runs claimed and components did."""
    ledger = ledgers.read(remote)
    outcomes, works = journal.read_outcomes(), journal.read_work()
    found = [
        *identity(outcomes, works),
        *acknowledged(ledger, outcomes, works),
        *once(ledger, outcomes),
        *chains(ledger),
        *states(ledger),
        *one_at_a_time(works),
        *approvals(ledger, outcomes),
        *whole(remote, ledger),
    ]
    return [Violation(invariant, text) for invariant, text in found]


def identity(outcomes, works):
    """A run works under the id that it was given, and no run takes another's."""
    given = {outcome.rollout: outcome.run_id for outcome in outcomes if outcome.run_id}
    owners = {run: rollout for rollout, run in given.items()}
    for rollout, run in dict.fromkeys((work.rollout, work.run_id) for work in works):
        owner = owners.setdefault(run, rollout)
        if owner != rollout:
            own = f" (run {given[rollout]})" if rollout in given else ""
            yield "identity", f"rollout {rollout}{own} worked as run {run}, which rollout {owner} is"
        elif given.get(rollout, run) != run:
            yield "identity", f"rollout {rollout} worked as run {run} instead of {given[rollout]}"


def acknowledged(ledger, outcomes, works):
    """Every record that a run claimed is there, under its name and its run's id."""
    names = {record.name: record for record in ledger.records}
    ids = collections.defaultdict(set)
    for work in works:
        ids[work.rollout].add(work.run_id)
    for outcome in outcomes:
        own = {outcome.run_id} if outcome.run_id else ids[outcome.rollout]
        if outcome.hung:
            yield "ends", f"rollout {outcome.rollout} did not end"
        if outcome.code == 0 and outcome.document is None:
            yield "acknowledged", f"rollout {outcome.rollout} ended with 0 and printed no document"
        yield from _claimed(outcome, names, own)
        yield from _kept(outcome, ledger, own)
        yield from _published(outcome, ledger, own)


def _components(outcome):
    document = outcome.document or {}
    return document.get("components", []) if document.get("kind") == "RolloutResult" else []


def _claimed(outcome, names, own):
    """The records that the document names."""
    for component in _components(outcome):
        name = component.get("record")
        if name is None:
            continue
        what = f"rollout {outcome.rollout} (run {outcome.run_id}) claims {name}"
        record = names.get(f"refs/tags/{name}")
        if record is None:
            yield "acknowledged", f"{what}, which is not there"
            continue
        if component.get("already_deployed"):
            own_runs = {ledgers.without_attempt(id_) for id_ in own}
            right = not outcome.run_id or record.run in own_runs
        else:
            right = not own or record.get("run_id") in own
        if not right:
            yield "acknowledged", f"{what}, which is of run {record.get('run_id')}"
        if record.get("status") != component["status"] or record.commit != component["commit"]:
            claimed = f"{component['status']} of {component['commit']}"
            yield "acknowledged", f"{what} as {claimed}; it is {record} of {record.commit}"


def _kept(outcome, ledger, own):
    """The records that were kept in the checkout, and have been published since."""
    nameless = [
        component for component in _components(outcome)
        if component["status"] in RECORDED and not component.get("record") and not component.get("already_deployed")
    ]
    kept = outcome.document.get("unpublished", 0) if nameless else 0
    lost = [component for component in nameless if not _is_recorded(outcome, component, ledger, own)]
    if len(lost) > len(nameless) - kept:
        for component in lost:
            what = f"rollout {outcome.rollout} (run {outcome.run_id})"
            yield "acknowledged", f"{what} kept a record of {component['component']}, which has not arrived"


def _is_recorded(outcome, component, ledger, own):
    place = f"{outcome.deployment}/{outcome.target}/{component['component']}"
    # A run that was cancelled before its first component worked has told its id to nothing.
    return any(
        (not own or record.get("run_id") in own) and record.get("status") == component["status"]
        for record in ledger.of(place)
    )


def _published(outcome, ledger, own):
    """The number of records that it said to have published while it ran."""
    place = f"{outcome.deployment}/{outcome.target}/"
    there = [
        record for record in ledger.records if record.get("run_id") in own and record.component.startswith(place)
    ]
    if own and len(there) < outcome.published:
        yield "acknowledged", f"rollout {outcome.rollout} published {outcome.published} records; {len(there)} are there"


def once(ledger, outcomes):
    """No success twice of one run, component and digest; no record twice of one attempt."""
    successes, attempts = collections.defaultdict(list), collections.defaultdict(list)
    given = {outcome.run_id for outcome in outcomes if outcome.run_id}
    for record in ledger.records:
        # One that arrived late was not known when a later attempt decided.
        # A rollback that others have undone since is asked for again by the next attempt.
        if record.get("status") == "success" and not record.is_late and not record.get("rollback_of"):
            successes[record.run, record.component, record.get("digest")].append(record)
        if record.get("run_id") in given and not record.is_of_a_dead_run:
            attempts[record.get("run_id"), record.component].append(record)
    for (run, component, _), records in successes.items():
        if len(records) > 1:
            yield "once", f"{len(records)} successes of {component} by run {run}: {_list(records)}"
    for (run, component), records in attempts.items():
        if len(records) > 1 and any(record.get("status") != "success" for record in records):
            yield "once", f"{len(records)} records of {component} by run {run}: {_list(records)}"


def chains(ledger):
    """One chain of each component, which `latest` names and which has every record, numbered in turn."""
    for component in ledger.components():
        chain, broken = walk(ledger, component)
        problems = [*_forks(ledger, component), *_outside(ledger, component, chain), *_numbers(chain)]
        if broken:
            problems.append(broken)
        if problems:
            yield "chain", f"{component}: {'; '.join(problems)}"


def _forks(ledger, component):
    followers = collections.defaultdict(list)
    for record in ledger.of(component):
        if not record.is_late:
            followers[record.get("previous")].append(record)
    for previous, group in followers.items():
        if len(group) > 1:
            yield f"a fork after {previous}: {_list(group)}"


def _outside(ledger, component, chain):
    inside = {record.object for record in chain}
    outside = [record for record in ledger.of(component) if record.object not in inside and not record.is_late]
    if outside:
        yield f"outside of the chain: {_list(outside)}"


def walk(ledger, component):
    """The records of a component from `latest` on, newest first, and what is wrong with that."""
    records = {record.object: record for record in ledger.of(component)}
    at, chain = ledger.latest.get(component), []
    if at is None:
        return chain, "there is no latest" if records else None
    while at is not None:
        record = records.pop(at, None)
        if record is None:
            return chain, f"{at} is no record, or twice in the chain"
        chain.append(record)
        at = record.get("previous")
    return chain, None


def _numbers(chain):
    for newer, older in zip(chain, chain[1:], strict=False):
        if newer.get("number") != str(int(older.get("number") or 0) + 1):
            numbers = f"number {newer.get('number')} follows {older.get('number')}"
            yield f"{numbers}: {_list([newer, older])}"


def states(ledger):
    """The state is the newest success that is not late."""
    for component in ledger.components():
        chain, broken = walk(ledger, component)
        if broken:
            # What the newest success is cannot be told.
            continue
        counts = [record for record in chain if record.get("status") == "success" and not record.is_late]
        right = counts[0].commit if counts else None
        if ledger.states.get(component) != right:
            newest = _list(counts[:1]) or "nothing"
            state = ledger.states.get(component)
            yield "state", f"{component} is {state}, and the newest success is {newest} of {right}"


def one_at_a_time(works):
    """Two runs never work on one component of a target at once."""
    places = collections.defaultdict(list)
    for work in works:
        places[work.deployment, work.target, work.component].append(work)
    for place, group in places.items():
        group.sort(key=lambda work: work.start)
        last = None
        for work in group:
            if last and work.start < last.end:
                yield "one at a time", (
                    f"{'/'.join(place)}: rollout {work.rollout} (run {work.run_id}) started at {work.start}; "
                    f"rollout {last.rollout} (run {last.run_id}) worked from {last.start} to {last.end}"
                )
            last = work if last is None or work.end > last.end else last


def approvals(ledger, outcomes):
    """What was promoted names its approvals, and every approval that a run acknowledged is noted."""
    known, reasons = ledger.approval_ids(), {line.get("reason") for line in ledger.approvals}
    for record in ledger.records:
        if "/prod/" not in record.component or record.get("status") != "success" or record.get("rollback_of"):
            continue
        named = record.get("approvals") or []
        if not named:
            yield "approvals", f"{record} names no approval"
        yield from (("approvals", f"{record} names {id_}, which is not noted") for id_ in named if id_ not in known)
    for outcome in outcomes:
        document = outcome.document or {}
        approval = document.get("approval") if document.get("kind") == "RolloutResult" else None
        if approval and approval["reason"] not in reasons:
            yield "approvals", f"rollout {outcome.rollout} was approved ({approval['reason']}), which is not noted"


def whole(remote, ledger):
    """The remote's objects are whole, and every record can be read."""
    for name in ledger.unreadable:
        yield "fsck", f"{name} cannot be read"
    result = subprocess.run(
        ["git", "-C", str(remote), "fsck", "--strict", "--no-dangling", "--no-progress"], env=shell.environment(remote),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=shell.LIMIT,
    )
    if result.returncode != 0:
        yield "fsck", result.stdout.decode(errors="replace").strip()


def _list(records):
    return ", ".join(map(str, records))
