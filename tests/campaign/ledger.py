"""The ledger of a remote, read by plain git alone."""

import hashlib
import json
import re
import subprocess
from dataclasses import dataclass, field

import shell

TAGS = "refs/tags/atmos/deployments/"
STATES = "refs/atmos/deployments/"
LATEST = "refs/atmos/latest/"
LOCKS = "refs/atmos/locks/"
NOTES = "refs/notes/atmos/"
WITH_ATTEMPT = re.compile(r"((?:github|gitlab):\d+)/\d+")


@dataclass
class Record:
    """A history record: its tag, the commit that it tags, and its fields."""

    name: str
    object: str
    commit: str
    fields: dict

    @property
    def component(self):
        """`<deployment>/<target>/<component>`, as the tag's name has it."""
        return self.name.removeprefix(TAGS).rpartition("/")[0]

    def get(self, field_):
        return self.fields.get(field_)

    @property
    def is_late(self):
        return "late_of" in self.fields

    @property
    def run(self):
        return without_attempt(self.get("run_id") or "")

    @property
    def is_of_a_dead_run(self):
        """Written by who took the lock of a dead run over."""
        return self.get("status") == "cancelled" and self.get("error") == "interrupted"

    def __str__(self):
        return f"{self.name.removeprefix(TAGS)} ({self.object[:10]}, run {self.get('run_id')}, {self.get('status')})"


@dataclass
class Ledger:
    """All of it."""

    records: list = field(default_factory=list)
    states: dict = field(default_factory=dict)
    latest: dict = field(default_factory=dict)
    # The fields of each lock, by the ref.
    locks: dict = field(default_factory=dict)
    # The lines of each deployment's approvals, and the ids that records name them by.
    approvals: list = field(default_factory=list)
    unreadable: list = field(default_factory=list)

    def components(self):
        names = {record.component for record in self.records} | set(self.states) | set(self.latest)
        return sorted(names)

    def of(self, component):
        return [record for record in self.records if record.component == component]

    def approval_ids(self):
        return {approval_id(line) for line in self.approvals}


def without_attempt(run_id):
    match = WITH_ATTEMPT.fullmatch(run_id)
    return match[1] if match else run_id


def approval_id(line):
    """The id by which records name an approval: of its canonical form, without the signature."""
    unsigned = {key: value for key, value in line.items() if key != "signature"}
    text = json.dumps(unsigned, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def read(remote):
    """Reads the ledger of a bare repository."""
    ledger = Ledger()
    prefixes = ("refs/atmos", "refs/tags/atmos", "refs/notes/atmos")
    lines = shell.git(remote, "for-each-ref", "--format=%(refname) %(objectname)", *prefixes).splitlines()
    refs = [line.split(" ") for line in lines]
    objects = contents(remote, [object_ for name, object_ in refs if name.startswith((TAGS, LOCKS))])
    for name, object_ in refs:
        if name.startswith(TAGS):
            _add_record(ledger, name, object_, objects[object_])
        elif name.startswith(LOCKS):
            ledger.locks[name] = fields_of(objects[object_][1].decode(errors="replace"))
        elif name.startswith(STATES):
            ledger.states[name.removeprefix(STATES)] = object_
        elif name.startswith(LATEST):
            ledger.latest[name.removeprefix(LATEST)] = object_
        elif name.startswith(NOTES) and name.endswith("/approvals"):
            ledger.approvals += note_lines(remote, name)
    # A tag that landed outside of its chain stays, and a late record tells the same.
    late = {record.get("late_of") for record in ledger.records}
    ledger.records = [record for record in ledger.records if record.object not in late]
    return ledger


def _add_record(ledger, name, object_, content):
    kind, body = content
    text = body.decode(errors="replace")
    fields = fields_of(text)
    if kind != "tag" or "status" not in fields:
        ledger.unreadable.append(name)
        return
    commit = text.partition("\n")[0].removeprefix("object ")
    ledger.records.append(Record(name, object_, commit, fields))


def fields_of(message):
    """The fields of a record that are plain values or lists; what is indented besides is skipped."""
    fields, last = {}, None
    for line in message.partition("\n---\n")[2].splitlines():
        if line.startswith("  - ") and isinstance(fields.get(last), list):
            fields[last].append(plain(line[4:]))
        elif line and line[0] not in " \t#-":
            last, _, value = line.partition(":")
            fields[last] = plain(value) if value.strip() else []
    return fields


def plain(value):
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


def contents(remote, objects):
    """The kind and the content of objects; kind `missing` for one that is not there."""
    wanted = list(dict.fromkeys(objects))
    output = subprocess.run(
        ["git", "-C", str(remote), "cat-file", "--batch"], input="".join(f"{object_}\n" for object_ in wanted).encode(),
        env=shell.environment(remote), stdout=subprocess.PIPE, check=True, timeout=shell.LIMIT,
    ).stdout
    found, at = {}, 0
    for object_ in wanted:
        end = output.index(b"\n", at)
        head = output[at:end].decode().split(" ")
        if head[-1] == "missing":
            found[object_], at = ("missing", b""), end + 1
            continue
        size = int(head[2])
        found[object_] = (head[1], output[end + 1:end + 1 + size])
        at = end + size + 2
    return found


def note_lines(remote, name):
    """Every line of every note of a ref, each a JSON object."""
    listed = shell.git(remote, "notes", f"--ref={name}", "list").split()
    notes = contents(remote, listed[::2])
    lines = [line for _, body in notes.values() for line in body.decode().splitlines() if line.strip()]
    return [json.loads(line) for line in lines]
