"""Hooks of a remote that refuse some refs or take long, while a rollout wants that."""

import threading
from pathlib import Path

PREFIXES = {
    "tags": "refs/tags/atmos/deployments/",
    "states": "refs/atmos/deployments/",
    "latest": "refs/atmos/latest/",
    "locks": "refs/atmos/locks/",
    "approvals": "refs/notes/atmos/",
}
# The parent is the process that receives the push.
UPDATE = """\
#!/bin/sh
case "$1" in
{cases}
*) exit 0;;
esac
if [ -e "{armed}/$kind-${{rest%%/*}}" ]; then
  echo "hook-refuses ${{rest%%/*}} $PPID" >> '{log}'
  echo "$1 is not taken now" >&2
  exit 1
fi
"""
CASE = """{prefix}*) kind={kind} rest=${{1#{prefix}}};;"""
PRE_RECEIVE = """\
#!/bin/sh
while read -r old new name; do
  case "$name" in refs/tags/atmos/deployments/*) rest=${{name#refs/tags/atmos/deployments/}};; esac
done
flag="{armed}/slow-${{rest%%/*}}"
# Another run may take the flag away at any moment.
if [ -n "$rest" ] && seconds=$(cat "$flag" 2> /dev/null); then
  echo "hook-slow ${{rest%%/*}} $PPID" >> '{log}'
  sleep "$seconds"
fi
exit 0
"""


class Hooks:
    """Scripts that are written once and linked into the remote only while they are needed."""

    def __init__(self, remote, folder):
        self.remote = remote
        self.folder = folder
        self.armed = folder / "armed"
        self.log = folder / "log"
        self.wanted = []
        self._lock = threading.Lock()
        self.armed.mkdir(parents=True)
        self.log.touch()
        cases = "\n".join(CASE.format(prefix=prefix, kind=kind) for kind, prefix in PREFIXES.items())
        self._write("update", UPDATE.format(cases=cases, armed=self.armed, log=self.log))
        self._write("pre-receive", PRE_RECEIVE.format(armed=self.armed, log=self.log))

    def _write(self, name, script):
        path = self.folder / name
        path.write_text(script)
        path.chmod(0o755)

    def arm(self, fault, deployment):
        """From now on, this goes wrong with pushes of the deployment."""
        with self._lock:
            self.wanted.append((fault, deployment))
            self._set()

    def disarm(self, fault, deployment):
        with self._lock:
            if (fault, deployment) in self.wanted:
                self.wanted.remove((fault, deployment))
                self._set()

    def _set(self):
        """Brings flags and links to what is wanted."""
        flags = {}
        for fault, deployment in self.wanted:
            name = fault.detail if fault.name == "hook-refuses" else "slow"
            flags[f"{name}-{deployment}"] = f"{fault.detail}\n"
        for flag in self.armed.iterdir():
            if flag.name not in flags:
                flag.unlink()
        for name, content in flags.items():
            (self.folder / "flag").write_text(content)
            (self.folder / "flag").replace(self.armed / name)
        for hook, fault_name in (("update", "hook-refuses"), ("pre-receive", "hook-slow")):
            link = Path(self.remote) / "hooks" / hook
            wanted = any(fault.name == fault_name for fault, _ in self.wanted)
            if wanted and not link.is_symlink():
                link.symlink_to(self.folder / hook)
            elif not wanted:
                link.unlink(missing_ok=True)

    def injected(self, fault, deployment):
        """How many pushes of a deployment a hook has done its harm to."""
        lines = set(self.log.read_text().splitlines())
        return sum(line.startswith(f"{fault.name} {deployment} ") for line in lines)
