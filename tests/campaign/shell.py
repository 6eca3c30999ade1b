"""Plain git and the program, with an environment of their own."""

import os
import subprocess

LIMIT = 120


def environment(home, **more):
    """What every process sees: no configuration but its own, and nothing of a CI around it."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
        **more,
    }


def git(folder, *arguments, input=None, check=True):
    """Runs plain git in a folder and returns what it prints."""
    result = subprocess.run(
        ["git", "-C", str(folder), *arguments], input=input, env=environment(folder), timeout=LIMIT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    if check and result.returncode != 0:
        words = " ".join(map(str, arguments))
        raise RuntimeError(f"git {words} in {folder}: {result.stderr.decode(errors='replace')}")
    return result.stdout.decode(errors="replace").rstrip("\n")
