"""A container engine of our own, from Debian's packages: nothing is installed, and no registry is asked.

dockerd runs with every folder in a temporary one. What Docker Hub would give is made of Debian: a base by debootstrap,
under the name that the Dockerfile has, and stand-ins for the other images. The packages and the base stay in
.venv/engine for the next time.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.conftest import ROOT
from tests.e2e.stack import PAUSE

CACHE: Final = ROOT / ".venv/engine"
STANDINS: Final = Path(__file__).parent / "standins"

PACKAGES: Final = (
    "docker.io", "containerd", "runc", "tini", "iptables", "libip4tc2", "libip6tc2", "libxtables12",
    "libnetfilter-conntrack3", "libnfnetlink0", "libnftnl11", "debootstrap",
)  # fmt: skip

RELEASE: Final = "bookworm"
"""The Debian of the base, whose Python is that of the Dockerfile."""

COMPOSE_RELEASE: Final = "trixie"
"""The first Debian with Compose 2."""

IP_FORWARD: Final = Path("/proc/sys/net/ipv4/ip_forward")


class NoEngineError(Exception):
    """Why no engine can be started here."""


def run(*command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What a command prints. Raises AssertionError with all of it where it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **(env or {})},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: exit status {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout


class Engine:
    """A running dockerd. `docker` and `compose` speak to it."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self.socket = folder / "docker.sock"
        self._compose = programs / "usr/libexec/docker/cli-plugins/docker-compose"
        self.env = {
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(folder / "config"),
            "DOCKER_BUILDKIT": "0",  # BuildKit looks for its bases in a registry
            **environment(programs),
        }

    def docker(self, *words: str | Path) -> str:
        """The output of `docker …`."""
        return run("docker", *words, env=self.env).strip()

    def compose(self, project: Path, *words: str, **variables: str) -> str:
        """The output of `docker compose …` in the folder of a compose file."""
        return run(self._compose, *words, env=self.env | variables, cwd=project).strip()


def environment(programs: Path) -> dict[str, str]:
    """How unpacked programs find each other and their libraries."""
    libraries = next((programs / "usr/lib").glob("*-linux-gnu*"))
    folders = [programs / "iptables", programs / "usr/sbin", programs / "usr/bin"]
    return {
        "PATH": ":".join([*map(str, folders), os.environ["PATH"]]),
        "LD_LIBRARY_PATH": str(libraries),
        "XTABLES_LIBDIR": str(libraries / "xtables"),
        "DEBOOTSTRAP_DIR": str(programs / "usr/share/debootstrap"),
    }


@contextmanager
def engine() -> Iterator[Engine]:
    """Start one, and leave the machine as it was. Raises NoEngineError."""
    if os.geteuid() != 0:
        raise NoEngineError("an engine needs root")
    programs = unpacked()
    env = {**os.environ, **environment(programs)}
    before = subprocess.run(["iptables-save"], env=env, capture_output=True, text=True, check=False)
    if before.returncode:
        raise NoEngineError(f"the firewall cannot be read: {before.stderr.strip()}")
    if "DOCKER" in before.stdout:
        raise NoEngineError("another engine runs on this machine, and two would share its firewall")
    forwarded = IP_FORWARD.read_text()
    with TemporaryDirectory(prefix="engine-") as name:
        folder = Path(name)
        made = Engine(folder, programs)
        with (folder / "log").open("wb") as log:
            daemon = subprocess.Popen(_daemon(folder), env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait(made, daemon, folder / "log")
            yield made
        finally:
            if daemon.poll() is None:
                with suppress(AssertionError):
                    made.docker("rm", "--force", "--volumes", *made.docker("ps", "--all", "--quiet").split())
                daemon.terminate()
                daemon.wait(30)
            subprocess.run(["iptables-restore"], env=env, input=before.stdout, text=True, check=True)
            subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True, check=False)
            IP_FORWARD.write_text(forwarded)


def _daemon(folder: Path) -> list[str]:
    return [
        "dockerd",
        f"--data-root={folder / 'data'}",
        f"--exec-root={folder / 'run'}",
        f"--pidfile={folder / 'pid'}",
        f"--host=unix://{folder / 'docker.sock'}",
        "--storage-driver=overlay2",
    ]


def _wait(made: Engine, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and daemon.poll() is None:
        with suppress(AssertionError):
            made.docker("version")
            return
        PAUSE.wait(0.1)
    words = re.findall(r'level=(?:error|fatal) msg="(.*)"', log.read_text()) or log.read_text().splitlines()
    raise NoEngineError(f"dockerd does not start: {words[-1] if words else 'without a word'}")


def unpacked() -> Path:
    """The programs, from the packages of this machine's own sources."""
    programs = CACHE / "programs"
    if programs.exists():
        return programs
    if not shutil.which("apt-get"):
        raise NoEngineError("the engine comes from Debian's packages, and there is no apt-get here")
    CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=CACHE) as name:
        work = Path(name)
        into = work / "programs"
        for packages, release in ((PACKAGES, RELEASE), (("docker-compose",), COMPOSE_RELEASE)):
            for package in _downloaded(work / release, packages, release):
                run("dpkg-deb", "--extract", package, into)
        (into / "iptables").mkdir()
        for command in ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save"):
            (into / "iptables" / command).symlink_to("../usr/sbin/xtables-legacy-multi")
        into.rename(programs)
    return programs


def mirror() -> str:
    """Where this machine has its Debian from."""
    known = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(LABEL)", "Created-By: Packages")
    for line in known.splitlines():
        uri, _, whose = line.partition(" ")
        if whose == "Debian Debian":
            return uri
    raise NoEngineError("this machine has no sources of Debian's packages")


def _downloaded(folder: Path, packages: Sequence[str], release: str) -> list[Path]:
    """Packages of a release, with lists and a cache of our own."""
    for each in ("lists/partial", "archives/partial", "debs"):
        (folder / each).mkdir(parents=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror()} {release} main\n")
    options = [
        "-qq",
        f"-oDir::Etc::SourceList={sources}",
        "-oDir::Etc::SourceParts=/dev/null",
        f"-oDir::State::Lists={folder / 'lists'}",
        f"-oDir::Cache={folder}",
        "-oAPT::Sandbox::User=root",
    ]
    try:
        run("apt-get", *options, "update")
        run("apt-get", *options, "download", *packages, cwd=folder / "debs")
    except AssertionError as error:
        raise NoEngineError(f"the packages cannot be had: {error}") from error
    return sorted((folder / "debs").iterdir())


def base(programs: Path) -> Path:
    """A Debian with Python, as an archive."""
    archive = CACHE / "base.tar"
    if archive.exists():
        return archive
    with TemporaryDirectory(dir=CACHE) as name:
        root = Path(name) / "root"
        packages = "--include=python3,python3-venv,ca-certificates"
        run("debootstrap", "--variant=minbase", packages, RELEASE, root, mirror(), env=environment(programs))
        (root / "usr/bin/python").symlink_to("python3")
        # Where this machine has an authority of its own, pip needs it in there, too.
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs/ca-certificates.crt")
        made = Path(name) / "base.tar"
        run("tar", "-C", root, "-cf", made, ".")
        made.rename(archive)
    return archive


def stand_in(made: Engine, folder: Path, images: Mapping[str, str], base_name: str) -> None:
    """Build a stand-in for each service, under the image's name."""
    programs = ROOT / ".venv/debian"
    context = folder / "standins"
    shutil.copytree(STANDINS, context)
    for each in ("prometheus", "prometheus-alertmanager"):
        shutil.copy(programs / "usr/bin" / each, context / f"bin-{each}")
    found = shutil.which("busybox")
    assert found is not None
    shutil.copy(found, context / "busybox")
    shutil.copytree(programs / "usr/share/prometheus/alertmanager", context / "templates")
    for service, image in images.items():
        how = [f"--build-arg=BASE={base_name}", f"--tag={image}", f"--file={context / service}"]
        made.docker("build", *how, context)
