"""The world of a round: one remote, its server and hooks, and the checkouts of those who roll out."""

import itertools
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import disk
import project
import proxy
import servers
import shell
from hooks import Hooks

SERVERS = {"daemon": servers.Daemon, "http": servers.Http}


@dataclass
class Template:
    """A remote that has been rolled out to once; every round begins with a copy."""

    remote: Path
    commits: list
    clock: Path | None


@dataclass
class Checkout:
    """A clone, and what lies between it and the remote."""

    name: str
    path: Path
    proxy: object = None
    # A small file system of its own, where it has one.
    mount: Path | None = None
    # Whether a run was killed here, or git was.
    wounded: bool = False


def template(atmos, folder, clock):
    """Makes the remote that rounds begin with: every component runs on both targets."""
    first = folder / "first"
    commits = project.create(first, shell.git)
    remote = folder / "template.git"
    shell.git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(remote))
    shell.git(remote, "config", "http.receivepack", "true")
    shell.git(first, "remote", "add", "origin", str(remote))
    shell.git(first, "push", "--quiet", "--set-upstream", "origin", "main")
    variables = {"CAMPAIGN_ROLLOUT": "first", "CAMPAIGN_JOURNAL": str(folder / "first-journal")}
    for name in project.DEPLOYMENTS:
        for target, *more in (("dev",), ("prod", "--promote-from", "dev", "--approve", "first")):
            command = [str(atmos), "deployment", "rollout", name, "--target", target, *more]
            subprocess.run(
                command, cwd=first, env=shell.environment(folder, **variables), check=True, timeout=60,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )
    return Template(remote, commits, clock)


class World:
    """Everything that a round's rollouts work on."""

    def __init__(self, folder, kind, template):
        self.folder = folder
        self.kind = kind
        self.commits = template.commits
        self.remote = folder / "served/remote.git"
        self.checkouts = []
        self._names = itertools.count()
        self._lock = threading.Lock()
        shutil.copytree(template.remote, self.remote, symlinks=True)
        if kind.has("nonatomic"):
            shell.git(self.remote, "config", "receive.advertiseAtomic", "false")
        self.home = folder / "home"
        self.home.mkdir()
        self.hooks = Hooks(self.remote, folder / "hooks")
        server = SERVERS.get(kind.transport)
        self.server = server(folder / "served") if server else None
        self.proxies = proxy.Proxies(self.server.port) if kind.has("proxy") else None

    def clone(self, name=None, shallow=False, small=False):
        """A new checkout; a small one is on a disk that can be filled, where that is possible."""
        with self._lock:
            name = name or f"fresh-{next(self._names)}"
        path = self.folder / "checkouts" / name
        path.parent.mkdir(exist_ok=True)
        checkout = Checkout(name, path)
        if small and disk.mount(path):
            checkout.mount = path
            checkout.path = path / "clone"
        arguments = ["--depth=1", "--no-tags"] if shallow else []
        # By its path alone git would copy the files, which a repack there takes away meanwhile.
        shell.git(self.folder, "clone", "--quiet", *arguments, f"file://{self.remote}", str(checkout.path))
        self._connect(checkout)
        with self._lock:
            self.checkouts.append(checkout)
        return checkout

    def _connect(self, checkout):
        """Lets a checkout reach the remote as this kind of round wants it."""
        if self.server is None:
            return
        port = self.server.port
        if self.proxies:
            checkout.proxy = self.proxies.open()
            port = checkout.proxy.port
        shell.git(checkout.path, "remote", "set-url", "origin", self.server.url(port))
        for key, value in self.server.settings:
            shell.git(checkout.path, "config", key, value)

    def end(self):
        """Ends the server and takes small file systems away."""
        if self.proxies:
            self.proxies.end()
        if self.server:
            self.server.end()
        for checkout in self.checkouts:
            if checkout.mount:
                disk.unmount(checkout.mount)
