"""One run of the program, watched while it works, with what is to go wrong during it."""

import json
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass, field

import processes

# The longest that a run may take: two pushes that the program gives up, and what it does besides.
LIMIT = 330

# How `unshare` ends when its child was killed: it cannot set what SIGKILL does to itself.
UNSHARE_OF_A_KILLED = b"unshare: sigprocmask unblock failed"


@dataclass
class Timer:
    """Something that happens some time after an event of the run's progress."""

    event: str
    nth: int
    delay: float
    action: object
    due: float | None = None

    def hears(self, event, nth):
        if self.due is None and self.event == event and self.nth == nth:
            self.due = time.monotonic() + self.delay


@dataclass
class Run:
    """A process of the program."""

    arguments: list
    folder: object
    variables: dict
    elsewhere: bool = False
    # Whether too large files are an error for it and not a signal.
    limited: bool = False
    timers: list = field(default_factory=list)
    counts: dict = field(default_factory=dict)
    published: int = 0
    stderr: bytes = b""
    stdout: bytes = b""
    code: int | None = None
    began: float = 0.0
    ended: float = 0.0
    hung: bool = False

    def carry_out(self, atmos):
        """Starts it, does what is due, and waits for its end."""
        command = [str(atmos), *self.arguments]
        if self.elsewhere:
            command = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--", *command]
        self.began = time.time()
        self._process = subprocess.Popen(
            command, cwd=self.folder, env=self.variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, restore_signals=not self.limited,
        )
        try:
            self._watch()
        finally:
            if self._process.poll() is None:
                self._process.kill()
            self.code = self._process.wait()
            self.ended = time.time()
            if self.elsewhere and UNSHARE_OF_A_KILLED in self.stderr:
                self.code = -signal.SIGKILL
            self._process.stdout.close()
            self._process.stderr.close()
        return self

    def program(self):
        """The process id of the program itself."""
        if not self.elsewhere:
            return self._process.pid
        return next(iter(processes.children(self._process.pid)), None)

    def after(self, seconds, action):
        """Does something some time from now, if the run still works then."""
        self.timers.append(Timer("", 0, 0.0, action, time.monotonic() + seconds))

    def is_over(self):
        return self._process.poll() is not None

    def _watch(self):
        deadline = time.monotonic() + LIMIT
        with selectors.DefaultSelector() as selector:
            for stream in (self._process.stdout, self._process.stderr):
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ)
            self._hear("start")
            while selector.get_map():
                over = self.is_over()
                ready = selector.select(0 if over else self._patience())
                for key, _ in ready:
                    self._read(selector, key.fileobj)
                self._do_what_is_due()
                if over and not ready:
                    # What it has started may keep its streams open.
                    return
                if time.monotonic() > deadline:
                    self.hung = True
                    return

    def _patience(self):
        due = [timer.due - time.monotonic() for timer in self.timers if timer.due is not None]
        return max(0, min([0.05, *due]))

    def _read(self, selector, stream):
        try:
            part = os.read(stream.fileno(), 65536)
        except BlockingIOError:
            return
        if not part:
            selector.unregister(stream)
        elif stream is self._process.stdout:
            self.stdout += part
        else:
            self._listen(part)

    def _listen(self, part):
        before = self.stderr.rfind(b"\n") + 1
        self.stderr += part
        for line in self.stderr[before:self.stderr.rfind(b"\n") + 1].splitlines():
            if not line.startswith(b"{"):
                continue
            event = json.loads(line)
            self.published += event.get("records", 0) if event["event"] == "published" else 0
            self._hear(event["event"])

    def _hear(self, event):
        self.counts[event] = self.counts.get(event, 0) + 1
        for timer in self.timers:
            timer.hears(event, self.counts[event])

    def _do_what_is_due(self):
        for timer in list(self.timers):
            if timer.due is not None and time.monotonic() >= timer.due:
                self.timers.remove(timer)
                timer.action()

    def document(self):
        """The document on stdout; None where there is none."""
        try:
            return json.loads(self.stdout)
        except ValueError:
            return None
