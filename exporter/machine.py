"""What kind of place the exporter runs in: a container or not, on what a folder is kept, by which clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import tzlocal

_MARKS: Final = (".dockerenv", "run/.containerenv")
"""Files that Docker and Podman put into a container."""

_VARIABLES: Final = ("container", "KUBERNETES_SERVICE_HOST")
"""Variables that Podman and systemd-nspawn, or Kubernetes, give to what runs in one."""

_CGROUP: Final = re.compile(r"/(?:docker|kubepods|lxc|libpod|containerd)[/.:-]")


class Mount(NamedTuple):
    """Where a file system is mounted, and its type as the kernel names it."""

    point: str
    kind: str


def local_zone() -> ZoneInfo:
    """This machine's time zone by its name. UTC where it has none, as in a bare container."""
    try:
        return ZoneInfo(tzlocal.get_localzone_name())
    except (ZoneInfoNotFoundError, OSError, ValueError):
        return ZoneInfo("UTC")


SET_ZONE: Final = "set `timezone`, such as Europe/Berlin"


def zone_trouble(env: Mapping[str, str], root: Path = Path("/")) -> str:
    """ "" or why this machine's time zone is not what its owner would expect. `root` is where /etc is."""
    name = env.get("TZ", "").removeprefix(":")
    if not name:
        if is_there(root / "etc/localtime") or not in_container(env, root):
            return ""
        return "this container has no time zone, so days and months begin in UTC"
    if name.upper().startswith(("UTC", "GMT")) or name.startswith("/"):
        return ""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        return f"the environment variable TZ is {name!r}, no name of a time zone, so days and months begin in UTC"
    return ""


def in_container(env: Mapping[str, str], root: Path = Path("/")) -> bool:
    """Whether this process runs in a container, as far as that can be told. `root` is where /proc and /run are."""
    if any(is_there(root / mark) for mark in _MARKS) or any(env.get(name) for name in _VARIABLES):
        return True
    return _CGROUP.search(_text(root / "proc/1/cgroup")) is not None


def is_there(path: Path) -> bool:
    """Whether this user sees something at a path."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def mounts(root: Path = Path("/")) -> str:
    """The mounts that this process sees, as Linux lists them; "" where that is not told."""
    return _text(root / "proc/self/mountinfo")


def mount_of(path: Path, listed: str) -> Mount | None:
    """The mount that holds a path which is resolved, out of what proc_pid_mountinfo(5) describes. None: not told."""
    found: Mount | None = None
    for line in listed.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) > 4 and kinds[0]:
            mount = Mount(_unescaped(fields[4]), kinds[0])
            # The last one at a place is the one on top.
            if path.is_relative_to(mount.point) and (found is None or len(mount.point) >= len(found.point)):
                found = mount
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        return ""
