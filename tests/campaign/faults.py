"""What goes wrong during one rollout, and whether it really did."""

import signal
import subprocess
import time

import disk
import mix
import processes
import shell

SIGNALS = {"kill-program": signal.SIGKILL, "sigint": signal.SIGINT, "sigterm": signal.SIGTERM}
INTERRUPTED = 130
# For how long a child is looked for that a fault is meant for.
SEARCH = 0.3
# How long a hook refuses or is slow: others roll the same deployment out.
HOOKED = 2
REFUSALS = (b"onnection refused", b"ailed to connect", b"ould not connect")


class Injection:
    """A fault of a step, set on a run."""

    def __init__(self, fault, run, checkout, world, outcome):
        self.fault = fault
        self.run = run
        self.checkout = checkout
        self.world = world
        self.rollout = outcome.rollout
        self.deployment = outcome.deployment
        self.sent = False
        self.upkeep = None
        # How many pushes the hooks had harmed before.
        self.harmed = 0

    def act(self):
        """Does what was planned, now."""
        name = self.fault.name
        if name in SIGNALS:
            self._signal()
        elif name == "kill-git":
            self._kill_child(lambda command: command.split(" ")[0].rpartition("/")[2].startswith("git"))
        elif name == "kill-component":
            self.world.journal.about_to_kill(self.rollout, self.fault.detail)
            self._kill_child(lambda command: command.startswith("/bin/sh") and command.endswith("deploy.sh"))
        elif name == "disk-full":
            self.sent = self._fill()
        elif name in mix.HOOKS:
            self.harmed, self.sent = self._harmed(), True
            self.world.hooks.arm(self.fault, self.deployment)
            self.run.after(HOOKED, self._unhook)
        elif name in mix.UPKEEP:
            self.upkeep = self._keep_up()
        elif self.checkout.proxy:
            self.checkout.proxy.arm(self.fault)

    def _signal(self):
        process = self.run.program()
        if process is None or self.run.is_over():
            return
        if self.fault.name == "kill-program":
            self.checkout.wounded = True
            if self.run.elsewhere:
                # Its components die with it, and cannot say so.
                self.world.journal.about_to_kill(self.rollout)
        self.sent = processes.kill(process, SIGNALS[self.fault.name])

    def _kill_child(self, is_meant):
        deadline = time.monotonic() + SEARCH
        while time.monotonic() < deadline and not self.run.is_over():
            for process in processes.descendants(self.run.program() or self.run._process.pid):
                if is_meant(processes.command_line(process)) and processes.kill(process):
                    self.checkout.wounded = True
                    self.sent = True
                    return
            time.sleep(0.001)

    def _fill(self):
        if self.run.is_over():
            return False
        if self.checkout.mount:
            return disk.fill(self.checkout.mount)
        return disk.limit(self.run.program())

    def _keep_up(self):
        folder = self.checkout.path if self.fault.name == "upkeep-here" else self.world.remote
        return subprocess.Popen(
            ["git", "-C", str(folder), *self.fault.detail], env=shell.environment(self.world.home),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )

    def finish(self):
        """Takes the fault back when the run is over. Whether it had an effect."""
        name = self.fault.name
        if name in mix.HOOKS:
            self._unhook()
            return self.sent and self._harmed() > self.harmed
        if name in mix.UPKEEP:
            return self.upkeep is not None and self._upkeep_worked()
        if name == "refused":
            return any(words in self.run.stderr for words in REFUSALS)
        if name in mix.NETWORK:
            return self.checkout.proxy is not None and self.checkout.proxy.disarm(self.fault)
        if name == "disk-full" and self.sent and self.checkout.mount:
            disk.free(self.checkout.mount)
        return self.sent and self._was_felt()

    def _harmed(self):
        return self.world.hooks.injected(self.fault, self.deployment)

    def _unhook(self):
        self.world.hooks.disarm(self.fault, self.deployment)

    def _was_felt(self):
        """A signal that came too late changed nothing."""
        if self.fault.name == "kill-program":
            return self.run.code == -signal.SIGKILL
        if self.fault.name in SIGNALS:
            return self.run.code == INTERRUPTED
        return True

    def _upkeep_worked(self):
        try:
            return self.upkeep.wait(timeout=60) == 0
        except subprocess.TimeoutExpired:
            self.upkeep.kill()
            self.upkeep.wait()
            return False
