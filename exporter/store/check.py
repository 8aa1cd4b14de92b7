"""Tries the state file out without touching it: what it is, who uses it, where it lies, and whether there is room."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from exporter import machine
from exporter.check import Finding, Level
from exporter.store import database
from exporter.store.errors import StateError
from exporter.voice import human_bytes

FULL: Final = 50 << 20
SCARCE: Final = 1 << 30
"""Bytes that are free: below the first the next commits may fail, below the second it is time to look."""

TIMES: Final = 10
"""And so many times the file's own size: an upgrade makes a copy of it."""

_REMOTE: Final = frozenset(
    {
        "9p",
        "afs",
        "ceph",
        "cifs",
        "fuse.sshfs",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
        "vboxsf",
    }
) | {"fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "virtiofs"}
_MEMORY: Final = frozenset({"tmpfs", "ramfs"})

_WRITABLE: Final = "give the user that runs the exporter permission to write there, or set `state` to another path"


def check(state: Path, env: Mapping[str, str] | None = None, root: Path = Path("/")) -> Iterator[Finding]:
    """Try the state file of a configuration. `root` is where /proc and the container's marks are."""
    try:
        path = state.resolve()
    except (OSError, RuntimeError) as error:
        yield _said("error", "file", f"{state}: {error}", "set `state` to the path of a file")
        return
    yield _file(path)
    folder = _standing(path)
    yield from _place(
        path, folder, machine.in_container(os.environ if env is None else env, root), machine.mounts(root)
    )
    yield from _room(path, folder)


def _file(path: Path) -> Finding:
    holder = _holder(path)
    if holder is not None:
        return _said("ok", "file", f"{path} is in use by a running exporter{holder}")
    try:
        if machine.is_there(path):
            return _existing(path)
    except StateError as error:
        return _said("error", "file", str(error).removeprefix("state file "))
    except OSError as error:
        return _said("error", "file", f"{path} cannot be looked at ({error.strerror})", _WRITABLE)
    folder = _standing(path)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        what = (
            "cannot be made in its folder" if folder == path.parent else f"and its folder {path.parent} cannot be made"
        )
        why = f"{folder} is no folder" if not folder.is_dir() else f"this user may not write to {folder}"
        return _said("error", "file", f"{path} {what}: {why}", _WRITABLE)
    return _said("ok", "file", f"{path} does not exist yet; the first `run` makes it, and totals begin at 0")


def _existing(path: Path) -> Finding:
    """Raises StateError and OSError."""
    if not path.is_file():
        what = "a folder" if path.is_dir() else "a device"
        return _said("error", "file", f"{path} is {what}", "set `state` to the path of a file")
    for each in (path, path.parent):
        if not os.access(each, os.R_OK | os.W_OK, effective_ids=True):
            return _said("error", "file", f"{path}: this user may not read and write {each}", _WRITABLE)
    known = database.examine(path)
    size = human_bytes(path.stat().st_size)
    return _said("ok", "file", f"{path} can be used ({size}{'' if known else ', still empty'})")


def _holder(path: Path) -> str | None:
    """None if no other process holds the file, else which one does, in words."""
    try:
        with path.with_name(path.name + ".lock").open("rb", buffering=0) as lock:
            try:
                # Shared, and for this moment alone: it disturbs nobody but an exporter that starts right now.
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = re.match(rb"[0-9]{1,10}", lock.read(32))
                return f" (process {pid[0].decode()})" if pid else ""
    except OSError:
        return None  # there is no lock, or none that this user may see; what that means is said of the file itself
    return None


def _standing(path: Path) -> Path:
    """The nearest folder above a file that exists, as far as this user sees."""
    return next(folder for folder in path.parents if machine.is_there(folder) or folder == folder.parent)


def _place(path: Path, folder: Path, contained: bool, mounts: str) -> Iterator[Finding]:
    mount = machine.mount_of(folder, mounts)
    if mount is None:
        return
    if mount.kind in _REMOTE:
        yield _said(
            "warning",
            "place",
            f"{path.parent} is on a network file system ({mount.kind}), where SQLite's locks may not hold and a "
            "connection that breaks stops the counting",
            "set `state` to a path on a local disk",
        )
    elif mount.kind in _MEMORY:
        yield _said(
            "warning",
            "place",
            f"{path.parent} is in memory ({mount.kind}): totals are lost with the next reboot",
            "set `state` to a path on a disk",
        )
    elif contained and mount.point == "/":
        yield _said(
            "warning",
            "place",
            f"{path.parent} is on the container's own layer: totals are lost with the container",
            "mount a volume there",
        )
    else:
        yield _said("ok", "place", f"{path.parent} is on {mount.kind}, mounted at {mount.point}")


def _room(path: Path, folder: Path) -> Iterator[Finding]:
    try:
        found = os.statvfs(folder)
        size = path.stat().st_size if path.is_file() else 0
    except OSError as error:
        yield _said("error", "room", f"{folder} does not tell how much room it has ({error.strerror})", _WRITABLE)
        return
    yield room(found.f_bavail * found.f_frsize, size, folder)


def room(free: int, size: int, folder: Path) -> Finding:
    """What so many free bytes are worth beside a file of that size."""
    words = f"{human_bytes(free)} are free at {folder}"
    if free < FULL:
        return _said("error", "room", f"{words}: commits will fail, and nothing is counted then", "make room there")
    if free < SCARCE or free < TIMES * size:
        return _said("warning", "room", f"{words}, and the state has {human_bytes(size)}", "make room there in time")
    return _said("ok", "room", words)


def _said(level: Level, step: str, message: str, remedy: str = "") -> Finding:
    return Finding(level, f"state {step}", message, remedy)
