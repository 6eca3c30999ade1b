"""A disk that is full: a small file system for a checkout, or a limit on what processes write."""

import contextlib
import errno
import os
import resource
import subprocess
from pathlib import Path

# Once there is room again, all of the ledger has to fit.
SIZE = "24m"


def mount(folder):
    """Mounts a small file system. Whether that is allowed here."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "campaign", str(folder)]
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30).returncode == 0
    except OSError:
        return False


def can_mount(folder):
    """Whether checkouts can be on small file systems; those that are shared never are."""
    mounted = mount(folder)
    if mounted:
        unmount(folder)
    return mounted


def unmount(folder):
    """Takes a small file system away, even where something still uses it."""
    with contextlib.suppress(OSError):
        command = ["umount", "--lazy", str(folder)]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)


def unmount_below(folder):
    """Takes away what is still mounted below a folder."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        place = Path(line.split(" ")[1])
        if folder in place.parents:
            unmount(place)


def fill(folder):
    """Fills a small file system. Whether it is full."""
    size = 1 << 16
    with (folder / "filler").open("ab", buffering=0) as file:
        while size >= 512:
            try:
                file.write(b"\0" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2
    return os.statvfs(folder).f_bavail == 0


def free(folder):
    """Makes room again."""
    (folder / "filler").unlink(missing_ok=True)


def limit(process):
    """Lets a process and what it starts write nothing more: a stand-in for a full disk."""
    try:
        _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
        resource.prlimit(process, resource.RLIMIT_FSIZE, (0, hard))
    except (ProcessLookupError, PermissionError):
        return False
    return True
