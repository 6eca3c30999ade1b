"""What a round may leave behind, and programs that do nothing about it: both are reported."""

import types

import settle
import shell
from damage import Copy
from ledger import LOCKS
from world import Checkout

LOCK = """\
object {blob}
type blob
tag atmos/locks/billing/dev/left
tagger Ada <ada@example.com> 0 +0000

atmos.tools/v1alpha1
kind: Lock
---
holder: ada@example.com
run_id: github:9/1
acquired_at: 2025-01-22T10:30:00Z
expires_at: 2025-01-22T10:35:00Z
host: "{host}"
"""


def lock(copy, host):
    """Writes a lock of a run that has ended, and returns its object."""
    blob = copy.git("hash-object", "-w", "--stdin", input=b"")
    written = copy.git("hash-object", "-t", "tag", "-w", "--stdin", input=LOCK.format(blob=blob, host=host).encode())
    copy.git("update-ref", f"{LOCKS}billing/dev/api", written)
    return written


def found(copy, atmos):
    """The invariants that are violated where this program follows a round that left something."""
    checkout = Checkout("shared-0", copy.folder / "checkout", wounded=True)
    shell.git(copy.folder, "clone", "--quiet", str(copy.remote), str(checkout.path))
    shell.git(checkout.path, "update-ref", "refs/atmos/pending/github%3A9%2F1/%run", "HEAD")
    round_ = types.SimpleNamespace(
        atmos=atmos,
        journal=copy.journal,
        shared={"shared-0": checkout},
        world=types.SimpleNamespace(remote=copy.remote, checkouts=[checkout]),
        variables=lambda **more: shell.environment(copy.folder, **more),
    )
    return {violation.invariant for violation in settle.settle(round_)}


def cases():
    """The host of the lock, the program, and what has to be reported."""
    return [
        (settle.here(), "true", {"pending"}),
        (settle.here(), "false", {"pending", "stuck", "takeover"}),
        ("elsewhere", "false", {"pending", "stuck", "takeover"}),
    ]


def holds(sound, folder):
    """Whether every case is reported as what it is."""
    right = True
    for at, (host, atmos, expected) in enumerate(cases()):
        copy: Copy = sound.copy(folder / f"leftovers-{at}")
        lock(copy, host)
        reported = found(copy, atmos)
        right = right and reported == expected
        print(f"{'ok' if reported == expected else 'FAILED'}: what is left by a program that answers {atmos}: "
              f"{', '.join(sorted(reported)) or 'nothing'}")
    return right
