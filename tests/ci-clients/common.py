"""What the runs of real CI clients have in common: a project, its remote with a token before it, the platforms' APIs."""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests/contracts"))

import stub  # noqa: E402

TOKEN = "glpat-or-ghs-secret-0123456789"


class Unavailable(Exception):
    """A tool that this machine cannot have."""


def run(*command, cwd=None, env=None, check=True, **options):
    """Runs a command and returns what it prints; everything about it where it fails."""
    result = subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options
    )
    if check and result.returncode != 0:
        words = " ".join(map(str, command))
        sys.exit(f"{words}\nended with {result.returncode}:\n{result.stdout}")
    return result.stdout if check else result


class GitServer:
    """Serves the bare repositories of a folder over HTTP to those who have the token."""

    def __init__(self, folder):
        backend = run("git", "--exec-path").strip() + "/git-http-backend"
        if not os.access(backend, os.X_OK):
            raise Unavailable("git came without git-http-backend")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self):
                size = self.headers.get("content-length")
                body = self.rfile.read(int(size)) if size else self.chunks()
                given = self.headers.get("authorization", "").removeprefix("Basic ")
                if base64.b64decode(given).decode().partition(":")[2] != TOKEN:
                    return self.reply(401, [("WWW-Authenticate", 'Basic realm="git"')], b"who are you?")
                path, _, query = self.path.partition("?")
                environment = {
                    "PATH": os.environ["PATH"],
                    "GIT_CONFIG_GLOBAL": "/dev/null",
                    "GIT_CONFIG_NOSYSTEM": "1",
                    "GIT_PROJECT_ROOT": str(folder),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "REMOTE_USER": "ci",
                    "REQUEST_METHOD": self.command,
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "CONTENT_TYPE": self.headers.get("content-type", ""),
                    "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
                    "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
                }
                answer = subprocess.run([backend], input=body, env=environment, stdout=subprocess.PIPE).stdout
                head, _, content = answer.partition(b"\r\n\r\n")
                headers = [tuple(line.split(": ", 1)) for line in head.decode().splitlines()]
                status = next((value for name, value in headers if name == "Status"), "200")
                self.reply(int(status.split()[0]), [item for item in headers if item[0] != "Status"], content)

            do_GET = do_POST = do_any

            def chunks(self):
                body = b""
                while self.headers.get("transfer-encoding") == "chunked":
                    size = int(self.rfile.readline(), 16)
                    body += self.rfile.read(size)
                    self.rfile.readline()
                    if size == 0:
                        break
                return body

            def reply(self, status, headers, content):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        self.url = serve(ThreadingHTTPServer(("127.0.0.1", 0), Handler))


def serve(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


class Api:
    """The stand-in for the platforms' APIs."""

    def __init__(self):
        self.url = serve(stub.serve(0))

    def written(self):
        return json.loads(json.dumps(stub.Handler.state.written()))


class Project:
    """A repository with a deployment, a bare remote of it behind the server, and the questions that tests ask."""

    def __init__(self, folder, *files, name="acme/shop"):
        self.bare = folder / f"remotes/{name}.git"
        self.path = folder / "checkout"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "CI", "GITHUB_", "ATMOS_"))},
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
               for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com"))},
        }
        run("git", "init", "--quiet", "--bare", "--initial-branch=main", self.bare)
        run("git", "-C", self.bare, "config", "http.receivepack", "true")
        self.server = GitServer(folder / "remotes")
        self.url = f"{self.server.url}/{name}.git"
        shutil.copytree(HERE / "project", self.path)
        for source, place in files:
            (self.path / place).parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, self.path / place)
            else:
                shutil.copy(source, self.path / place)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("remote", "add", "origin", self.url)
        self.commit("Add the shop")

    def git(self, *arguments):
        return run("git", *arguments, cwd=self.path, env=self.environment).strip()

    def commit(self, message):
        """Commits everything and brings it to the remote. Returns the commit's id."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        self.git("push", "--quiet", str(self.bare), "main")
        return self.git("rev-parse", "HEAD")

    def remote(self, *arguments):
        return run("git", "--git-dir", self.bare, *arguments, env=self.environment).strip()

    def runs(self, target, deployment="payment-service"):
        """What the ledger on the remote says of a target: the commit of each component."""
        prefix = f"refs/atmos/deployments/{deployment}/{target}/"
        lines = self.remote("for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
        return {name.removeprefix(prefix): commit for name, commit in map(str.split, lines)}

    def records(self, target, component, deployment="payment-service"):
        """The messages of a component's records, oldest first."""
        prefix = f"refs/tags/atmos/deployments/{deployment}/{target}/{component}/"
        names = self.remote("for-each-ref", "--format=%(refname)", prefix).splitlines()
        return [self.remote("for-each-ref", "--format=%(contents)", name) for name in names]

    def locks(self):
        return self.remote("for-each-ref", "--format=%(refname)", "refs/atmos/locks/").splitlines()


def expect(what, condition, evidence=""):
    """A claim that has to hold."""
    if not condition:
        sys.exit(f"FAILED: {what}\n{evidence}")
    print(f"ok: {what}")


def main(name, test):
    """Runs a test. What this machine cannot have is a notice, or a failure where ATMOS_TEST_REQUIRE names the test."""
    try:
        test()
    except Unavailable as reason:
        if name in os.environ.get("ATMOS_TEST_REQUIRE", "").replace(",", " ").split():
            sys.exit(f"{name} is required: {reason}")
        print(f"skipped: {reason}", file=sys.stderr)
