"""A container engine with a storage of its own, and base images that no registry has to give.

Needs root, podman, runc and debootstrap. The base images are put together from Debian's packages and from the toolchain of
this machine, under the names that the Dockerfile asks for.
"""

import atexit
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from common import ROOT, Unavailable, run

DEBIAN = "debian:bookworm-slim"
RUST = "rust:1.95-slim-bookworm"
# What nobody ships is built in a fraction of the time that the shipped one takes.
QUICK = ["--build-arg", "LTO=off", "--build-arg", "CODEGEN_UNITS=16"]

CONTAINERS = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
compat_api_enforce_docker_hub = false
[containers]
netns = "host"
cgroupns = "host"
log_driver = "k8s-file"
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
"""


class Engine:
    """The engine; its images are kept in a folder from run to run."""

    def __init__(self, folder=ROOT / "target/ci-tools/containers"):
        for tool in ("podman", "runc", "debootstrap"):
            if not shutil.which(tool):
                raise Unavailable(f"{tool} is not installed")
        if os.geteuid() != 0:
            raise Unavailable("containers and their base images need root here")
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "containers.conf").write_text(CONTAINERS)
        self.environment = {
            **os.environ,
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }
        for driver in ("overlay", "vfs"):
            storage = f'[storage]\ndriver = "{driver}"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/{driver}"\n'
            (folder / "storage.conf").write_text(storage)
            why = self.podman("info", check=False)
            if why.returncode == 0:
                break
        else:
            raise Unavailable(f"podman has no storage that works here: {why.stdout}")

        atexit.register(self.leave)

    def leave(self):
        """Leaves nothing running and nothing mounted, so that the folder can be removed."""
        self.podman("rm", "--all", "--force", check=False)
        mounts = [line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
        for mount in reversed(mounts):
            if mount.startswith(f"{self.folder}/"):
                run("umount", mount, check=False)

    def podman(self, *arguments, **options):
        return run("podman", *arguments, env=self.environment, **options)

    def has(self, image):
        return self.podman("image", "exists", image, check=False).returncode == 0

    def bases(self):
        """Makes the images that the Dockerfile is built from."""
        if not self.has(DEBIAN):
            print(f"making {DEBIAN} of Debian's packages", flush=True)
            with tempfile.TemporaryDirectory(dir=self.folder) as root:
                run("debootstrap", "--variant=minbase", "bookworm", root, "http://deb.debian.org/debian")
                for left_over in ("var/cache/apt", "var/lib/apt/lists"):
                    shutil.rmtree(pathlib.Path(root, left_over))
                archive = self.folder / "debian.tar"
                run("tar", "--create", "--file", archive, "--directory", root, ".")
            self.podman("import", archive, DEBIAN)
            archive.unlink()
        if not self.has(RUST):
            self.rust()
        trial = self.podman("run", "--rm", DEBIAN, "true", check=False)
        if trial.returncode != 0:
            raise Unavailable(f"podman cannot run a container here: {trial.stdout}")

    def rust(self):
        """Debian with a C compiler, the Rust of this machine and the crates that it has downloaded."""
        print(f"making {RUST} of this machine's toolchain", flush=True)
        toolchain = pathlib.Path(run("rustc", "--print", "sysroot", cwd=ROOT).strip())
        crates = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"), "registry")
        with tempfile.TemporaryDirectory(dir=self.folder) as context:
            context = pathlib.Path(context)
            parts = [(toolchain / "bin" / name, f"rust/bin/{name}") for name in ("cargo", "rustc")]
            parts.append((toolchain / "lib", "rust/lib"))
            parts.extend((crates / name, f"cargo/registry/{name}") for name in ("cache", "index"))
            for source, place in parts:
                (context / place).parent.mkdir(parents=True, exist_ok=True)
                run("cp", "--archive", source, context / place)
            (context / "Dockerfile").write_text(
                f"FROM {DEBIAN}\n"
                "RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates gcc libc6-dev\n"
                "ENV CARGO_HOME=/usr/local/cargo\n"
                "COPY rust /usr/local\n"
                "COPY cargo /usr/local/cargo\n"
            )
            self.podman("build", "--tag", RUST, context)

    def build(self, tag, *options):
        """Builds this repository's Dockerfile."""
        self.bases()
        print(f"building {tag}", flush=True)
        self.podman("build", "--tag", tag, *options, ROOT)

    def serve(self):
        """Answers as Docker does, for clients that speak with Docker. Returns the address."""
        folder = tempfile.mkdtemp(prefix="atmos-engine-")
        socket = pathlib.Path(folder, "podman.sock")
        address = f"unix://{socket}"
        log = open(pathlib.Path(folder, "log"), "w")
        command = ["podman", "system", "service", "--time=0", address]
        service = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)

        def stop():
            service.terminate()
            service.wait()
            shutil.rmtree(folder, ignore_errors=True)

        atexit.register(stop)
        deadline = time.monotonic() + 60
        while not socket.exists():
            if service.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"podman's service does not start: {pathlib.Path(folder, 'log').read_text()}")
            time.sleep(0.1)
        return address
