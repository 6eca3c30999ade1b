"""Damage that is done on purpose, each with the invariants that it violates."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import invariants
import ledger as ledgers
import shell
from journal import Journal


class Copy:
    """A remote and a journal that may be damaged."""

    def __init__(self, folder):
        self.folder = folder
        self.remote = folder / "remote.git"
        self.journal = Journal(folder)

    def git(self, *arguments, input=None):
        return shell.git(self.remote, *arguments, input=input)

    def ledger(self):
        return ledgers.read(self.remote)

    def component(self, records=3):
        """A component of `dev` whose newest record and the one before are successes of different commits."""
        ledger = self.ledger()
        for component in ledger.components():
            chain, _ = invariants.walk(ledger, component)
            newest = [record for record in chain[:2] if record.get("status") == "success"]
            if len(chain) >= records and len({record.commit for record in newest}) == 2 and "/dev/" in component:
                return component, chain
        raise RuntimeError("the sound round has no component that could be damaged; take another seed")

    def write(self, record, **changes):
        """Writes another record like this one, and returns its object."""
        text = self.git("cat-file", "tag", record.object)
        name = record.name.removeprefix("refs/tags/")
        suffix = changes.pop("suffix", "-9")
        text = text.replace(f"tag {name}", f"tag {name}{suffix}", 1)
        for field, value in changes.items():
            lines = [line for line in text.splitlines() if not line.startswith(f"{field}: ")]
            text = "\n".join([*lines, f"{field}: {value}"]) + "\n"
        written = self.git("hash-object", "-t", "tag", "-w", "--stdin", input=text.encode())
        self.git("update-ref", f"{record.name}{suffix}", written)
        return written

    def rewrite_outcomes(self, change):
        """Changes what runs claimed; `change` returns whether it has found what to change."""
        outcomes = [json.loads(line) for line in self.journal.outcomes.read_text().splitlines()]
        if not any(change(outcome) for outcome in outcomes):
            raise RuntimeError("the sound round has nothing that could be changed")
        self.journal.outcomes.write_text("".join(json.dumps(outcome) + "\n" for outcome in outcomes))


@dataclass
class Sound:
    """A remote and a journal in which everything holds."""

    folder: Path
    remote: Path
    journal: Path

    def copy(self, folder):
        folder.mkdir()
        shutil.copytree(self.remote, folder / "remote.git", symlinks=True)
        for name in ("components", "outcomes"):
            shutil.copy(self.journal / name, folder / name)
        return Copy(folder)


def nothing(copy):
    pass


def older_tag_dropped(copy):
    """Of the template, which no run of the round claims."""
    _, chain = copy.component()
    copy.git("update-ref", "-d", chain[-1].name)


def acknowledged_tag_dropped(copy):
    """The newest record, with state and `latest` as they were before it: only the journal knows."""
    component, chain = copy.component()
    copy.git("update-ref", "-d", chain[0].name)
    copy.git("update-ref", ledgers.LATEST + component, chain[1].object)
    copy.git("update-ref", ledgers.STATES + component, chain[1].commit)


def fork(copy):
    _, chain = copy.component()
    copy.write(chain[0], run_id="github:9/1")


def wrong_state(copy):
    component, chain = copy.component()
    copy.git("update-ref", ledgers.STATES + component, chain[1].commit)


def state_dropped(copy):
    component, _ = copy.component()
    copy.git("update-ref", "-d", ledgers.STATES + component)


def latest_moved_back(copy):
    component, chain = copy.component()
    copy.git("update-ref", ledgers.LATEST + component, chain[1].object)


def success_twice(copy):
    """One more record on top of the chain, of the same run."""
    component, chain = copy.component()
    written = copy.write(chain[0], previous=chain[0].object, number=int(chain[0].get("number")) + 1)
    copy.git("update-ref", ledgers.LATEST + component, written)


def number_skipped(copy):
    component, chain = copy.component()
    number = int(chain[0].get("number")) + 2
    written = copy.write(chain[0], previous=chain[0].object, number=number, run_id="github:9/1")
    copy.git("update-ref", ledgers.LATEST + component, written)


def late_record(copy):
    """A record that came late, on top of the chain and marked: neither a fork nor what runs."""
    component, chain = copy.component()
    written = copy.write(
        chain[1], previous=chain[0].object, number=int(chain[0].get("number")) + 1, run_id="github:9/1",
        late_of="0" * 40, suffix="-8",
    )
    copy.git("update-ref", ledgers.LATEST + component, written)


def wrong_run(copy):
    def change(outcome):
        document = outcome["document"] or {}
        if outcome["run_id"] and any(component.get("record") for component in document.get("components", ())):
            outcome["run_id"] = "github:9/1"
            return True
        return False

    copy.rewrite_outcomes(change)


def id_taken(copy):
    """Two rollouts without an id of their own that worked under one."""
    lines = [line.split() for line in copy.journal.components.read_text().splitlines()]
    ids = list(dict.fromkeys(words[8] for words in lines if words[8].startswith("local:")))
    text = copy.journal.components.read_text().replace(ids[1], ids[0])
    copy.journal.components.write_text(text)


def kept_and_lost(copy):
    def change(outcome):
        document = outcome["document"] or {}
        for component in document.get("components", ()):
            if component.get("record"):
                del component["record"]
                component["status"] = "failed"
                document["unpublished"] = 1
                return True
        return False

    copy.rewrite_outcomes(change)


def overlap(copy):
    """A component that was started once more while it worked."""
    lines = copy.journal.components.read_text().splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("start "))
    words = lines[at].split()
    other = ["start", "other", "1", *words[3:8], "github:9/1"]
    end = ["end", "other", "1", str(float(words[3]) + 1000), *other[4:]]
    copy.journal.components.write_text("\n".join([*lines, " ".join(other), " ".join(end)]) + "\n")


def approval_dropped(copy):
    names = copy.git("for-each-ref", "--format=%(refname)", "refs/notes/atmos/*/approvals").split()
    copy.git("update-ref", "-d", names[0])


def object_lost(copy):
    """A blob of a commit that nothing of the ledger reads."""
    blob = copy.git("rev-parse", "main:version")
    (copy.remote / "objects" / blob[:2] / blob[2:]).unlink()


ALL = [
    ("a sound ledger", (), nothing),
    ("an older record that was dropped", ("chain",), older_tag_dropped),
    ("an acknowledged record that was dropped", ("acknowledged",), acknowledged_tag_dropped),
    ("a chain that forks", ("chain",), fork),
    ("a state that is not the newest success", ("state",), wrong_state),
    ("a state that was dropped", ("state",), state_dropped),
    ("a latest that was moved back", ("chain", "state"), latest_moved_back),
    ("a success that was recorded twice", ("once",), success_twice),
    ("a number that was skipped", ("chain",), number_skipped),
    ("a late record that is marked", (), late_record),
    ("a record under another run's id", ("acknowledged", "identity"), wrong_run),
    ("an id that two runs have", ("acknowledged", "identity"), id_taken),
    ("a record that was kept and is lost", ("acknowledged",), kept_and_lost),
    ("two runs at once", ("one at a time",), overlap),
    ("approvals that were dropped", ("approvals",), approval_dropped),
    ("an object that was lost", ("fsck",), object_lost),
]
