"""Real SSH servers: OpenSSH and dropbear, as programs of an ordinary user whom only they know.

nss_wrapper gives them that user, whoever runs the tests: it needs no account, no root, and touches nothing. With its
key the user gets a PATH that has the fakes of a router first; with the password alone, a machine without nlbw.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Literal

import paramiko

from exporter.sources.nlbwmon import NlbwmonSettings
from tests.conftest import ROOT
from tests.nlbwmon.fakes import program, programs
from tests.nlbwmon.recorded import JSON

Kind = Literal["openssh", "dropbear"]
USER, PASSWORD = "openwrt", "correct horse"
HASHED = "$6$abcdefgh$yIZAF3gQPvtKZO/9qOJKffAKKbtS3ef3qmwyugk4uWVjX8YZf/GV3A8SkFxEPY0T56CcilGrHKLffBsp6dLMG."
LIBRARIES = next((ROOT / ".venv/debian/usr/lib").glob("*/libnss_wrapper.so")).parent
OPENSSH = """
Port {port}
ListenAddress 127.0.0.1
{keys}
AuthorizedKeysFile {folder}/.ssh/authorized_keys
PidFile none
UsePAM no
StrictModes no
MaxStartups 200
"""
SPARE_UID = 54_321


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Server:
    """A running server with one user, who has a key and a password."""

    def __init__(self, kind: Kind, *, key: str = "ed25519", port: int = 0) -> None:
        self.kind: Kind = kind
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{kind}-"))
        self.uid, self.gid = (SPARE_UID, SPARE_UID) if os.getuid() == 0 else (os.getuid(), os.getgid())
        for name in {"user", "ed25519", key}:
            self._make_key(name)
        (self.folder / ".ssh").mkdir(mode=0o700)
        authorized = f'command="{self.folder}/force" {(self.folder / "user.pub").read_text()}'
        (self.folder / ".ssh/authorized_keys").write_text(authorized)
        (self.folder / "bin").mkdir()
        programs(self.folder / "bin", JSON)
        program(self.folder / "force", f'PATH={self.folder}/bin:$PATH exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"')
        self._write_user()
        self.process = self._start(key)
        self._hand_over()
        self.pin(key)

    def _make_key(self, name: str) -> None:
        kind = ["-t", "rsa", "-b", "2048"] if name == "rsa" else ["-t", "ed25519"]
        command = ["ssh-keygen", "-q", *kind, "-N", "", "-C", "", "-f", str(self.folder / name)]
        if not (self.folder / name).exists():
            subprocess.run(command, check=True)

    def _write_user(self) -> None:
        line = f"{USER}:x:{self.uid}:{self.gid}::{self.folder}:/bin/sh\n"
        (self.folder / "passwd").write_text(line)
        (self.folder / "group").write_text(f"{USER}:x:{self.gid}:\n")
        (self.folder / "shadow").write_text(f"{USER}:{HASHED}:20000:0:99999:7:::\n")

    def _hand_over(self) -> None:
        if os.getuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, self.uid, self.gid)

    def _start(self, *keys: str) -> subprocess.Popen[bytes]:
        self._hand_over()
        if self.kind == "openssh":
            listed = "\n".join(f"HostKey {self.folder}/{key}" for key in keys)
            text = OPENSSH.format(port=self.port, folder=self.folder, keys=listed)
            (self.folder / "config").write_text(text)
            command = [_found("sshd"), "-D", "-e", "-f", str(self.folder / "config")]
        else:
            convert = [_found("dropbearconvert"), "openssh", "dropbear"]
            environment = {"LD_LIBRARY_PATH": str(LIBRARIES)}
            command = [_found("dropbear"), "-p", f"127.0.0.1:{self.port}", "-j", "-k", "-F", "-E"]
            for key in keys:
                made = str(self.folder / f"{key}.dropbear")
                subprocess.run(
                    [*convert, str(self.folder / key), made], env=environment, check=True, capture_output=True
                )
                command += ["-r", made]
        self._hand_over()
        wrapper = {f"NSS_WRAPPER_{name.upper()}": str(self.folder / name) for name in ("passwd", "group", "shadow")}
        environment = {
            "LD_LIBRARY_PATH": str(LIBRARIES),
            "LD_PRELOAD": str(LIBRARIES / "libnss_wrapper.so"),
            "PATH": "/usr/bin:/bin",
            **wrapper,
        }
        root = os.getuid() == 0
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=environment,
                stderr=log,
                start_new_session=True,
                user=self.uid if root else None,
                group=self.gid if root else None,
                extra_groups=[] if root else None,
            )
        self._wait(process)
        return process

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until and process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as wire:
                    if wire.recv(4) == b"SSH-":
                        return
            except OSError:
                continue
        raise AssertionError((self.folder / "log").read_text())

    def pin(self, *keys: str, place: str = "") -> None:
        """Write known_hosts with these keys."""
        for key in keys:
            self._make_key(key)
        place = place or f"[127.0.0.1]:{self.port}"
        lines = [f"{place} {(self.folder / f'{key}.pub').read_text()}" for key in keys]
        (self.folder / "known_hosts").write_text("".join(lines))

    def settings(
        self, *, key_file: str | None = None, password: str = "", passphrase: str = "", timeout: float = 10.0
    ) -> NlbwmonSettings:
        key_file = str(self.folder / "user") if key_file is None else key_file
        known_hosts = str(self.folder / "known_hosts")
        return NlbwmonSettings("127.0.0.1", known_hosts, self.port, USER, password, key_file, passphrase, timeout)

    def fingerprint(self, key: str = "ed25519") -> str:
        return paramiko.PKey.from_path(self.folder / key).fingerprint

    def stranger(self) -> str:
        """A key file that the server does not know."""
        self._make_key("stranger")
        return str(self.folder / "stranger")

    def nlbw(self, script: str) -> None:
        """What `nlbw` does from now on."""
        program(self.folder / "bin/nlbw", script)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self.process.wait()

    def restart(self, *keys: str) -> None:
        """With these host keys, or with the first that it had."""
        keys = keys or ("ed25519",)
        for key in keys:
            self._make_key(key)
        self.process = self._start(*keys)

    def _signal(self, number: signal.Signals) -> None:
        """To the server and all it has started: each connection is a process of its own, in its own session."""
        for pid in [*_descendants(self.process.pid), self.process.pid]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def close(self) -> None:
        self.thaw()
        self.kill()
        # What a connection left behind when it ended is nobody's child any more, but still in its user's home.
        for pid in _at_home(self.folder):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder)


def _found(name: str) -> str:
    path = shutil.which(name)
    assert path is not None
    return path


def _at_home(folder: Path) -> list[int]:
    homes = [(path, path / "cwd") for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [int(path.name) for path, cwd in homes if _target(cwd) == str(folder)]


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""  # it has ended meanwhile, or is another user's


def _descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in map(int, children) for each in (*_descendants(child), child)]
