"""Servers of a remote on this machine's loopback: `git daemon` and smart HTTP."""

import base64
import socket
import subprocess
import sys
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

import shell

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "ci-clients"))

import common  # noqa: E402


class QuietServer(ThreadingHTTPServer):
    """Many clients at once, some of which hang up."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


class Daemon:
    """`git daemon`, which answers to anyone."""

    settings = ()

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        # `git daemon` would start this and wait for it: two processes to end.
        program = shell.git(folder, "--exec-path") + "/git-daemon"
        self.process = subprocess.Popen(
            [program, "--reuseaddr", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1",
             f"--port={self.port}", "--max-connections=0", "--timeout=60", f"--base-path={folder}", str(folder)],
            env=shell.environment(folder), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self.port)

    def url(self, port):
        return f"git://127.0.0.1:{port}/remote.git"

    def end(self):
        self.process.kill()
        self.process.wait()


class Http:
    """`git http-backend` behind a small server that wants a token."""

    def __init__(self, folder):
        common.ThreadingHTTPServer = QuietServer
        server = common.GitServer(folder)
        self.port = int(server.url.rsplit(":", 1)[1])
        token = base64.b64encode(f"ci:{common.TOKEN}".encode()).decode()
        self.settings = (("http.extraHeader", f"Authorization: Basic {token}"),)

    def url(self, port):
        return f"http://127.0.0.1:{port}/remote.git"

    def end(self):
        """Its thread ends with this process."""


def wait_for(port):
    """Waits until a port answers."""
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
