"""Processes that the campaign starts. Every one of them is ended, whatever happens."""

import ctypes
import os
import signal
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Makes this process the parent of what its children leave behind."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children(process):
    """The children of a process."""
    found = []
    try:
        for task in os.listdir(f"/proc/{process}/task"):
            found += Path(f"/proc/{process}/task/{task}/children").read_text().split()
    except OSError:
        pass
    return [int(child) for child in found]


def descendants(process):
    """The children of a process, their children, and so on."""
    found, todo = [], [process]
    while todo and len(found) < 10_000:
        new = children(todo.pop())
        found += new
        todo += new
    return found


def command_line(process):
    """What a process was started with; empty where it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def is_alive(process):
    """Whether a process still does something."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def kill(process, number=signal.SIGKILL):
    """Sends a signal. Whether the process was still there."""
    if not is_alive(process):
        return False
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return False
    return True


def wait_for_orphans(known, limit):
    """Waits until nothing else runs below this process. Returns what is left after the limit."""
    deadline = time.monotonic() + limit
    while True:
        left = [process for process in descendants(os.getpid()) if process not in known and is_alive(process)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def end_all():
    """Kills everything below this process, until nothing is left or five seconds are over."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        left = descendants(os.getpid())
        if not left:
            return
        for process in left:
            kill(process)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)
