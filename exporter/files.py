"""Files that people wrote, changed so that whatever happens either the old or the new one is there."""

from __future__ import annotations

import os
import stat
import tempfile
from itertools import count
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600


def replace(path: Path, content: bytes) -> None:
    """Put the content in the file's place at once. It keeps its mode and owner; a new one is for its owner alone.

    Raises OSError, with nothing changed.
    """
    target = path.resolve()
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            if target.exists():
                _take_after(target, file.fileno())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync(target.parent)


def back_up(path: Path) -> Path:
    """Copy a file to the first of its name with .bak, .bak1 … that is free, for its owner alone. Raises OSError."""
    target = path.resolve()
    content = target.read_bytes()
    for number in count():
        copy = target.with_name(f"{target.name}.bak{number or ''}")
        try:
            handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
        except FileExistsError:
            continue
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return copy
    raise AssertionError  # there is always one more number


def _take_after(target: Path, handle: int) -> None:
    old, new = target.stat(), os.fstat(handle)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(handle, old.st_uid, old.st_gid)
    os.fchmod(handle, stat.S_IMODE(old.st_mode))


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
