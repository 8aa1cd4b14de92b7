"""Secrets that every user of the machine may read are said by `check`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from exporter.config.check import check

ENV = {"FOLDER": "secrets", "PASSWORD": "hush"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with TemporaryDirectory() as name:
        made = Path(name)
        made.chmod(0o755)
        (made / "secrets").mkdir(mode=0o755)
        yield made


def write(path: Path, text: str, mode: int) -> None:
    path.write_text(text)
    path.chmod(mode)


def said(folder: Path, lines: str, mode: int = 0o644) -> list[str]:
    path = folder / "config.yaml"
    write(path, f"sources:\n  - name: home\n{lines}", mode)
    found = list(check(path, ENV))
    assert {(each.level, each.subject) for each in found} <= {("warning", "secrets")}
    assert "hush" not in "".join(map(str, found))
    return [str(Path(each.message.partition(" ")[0]).relative_to(folder.resolve())) for each in found]


def test_secrets_in_the_configuration(folder: Path) -> None:
    assert said(folder, "    password: hush\n") == ["config.yaml"]
    assert said(folder, "    password: hush\n", 0o640) == []
    assert said(folder, "    password: ${PASSWORD}\n") == []
    assert said(folder, "archive: {password: hush}\n") == ["config.yaml"]


def test_files_of_secrets(folder: Path) -> None:
    for name in ("a", "b", "c", "secrets/d"):
        write(folder / name, "hush", 0o644)
    lines = "    password_file: a\n    key_file: b\n    passphrase_file: c\n    api_key_file: ${FOLDER}/d\n"
    assert said(folder, lines) == ["a", "b", "c", "secrets/d"]
    for name in ("a", "b", "c"):
        (folder / name).chmod(0o600)
    (folder / "secrets").chmod(0o700)
    assert said(folder, lines) == []
    (folder / "a").unlink()
    assert said(folder, lines) == []


def test_a_folder_that_nobody_else_may_enter(folder: Path) -> None:
    folder.chmod(0o700)
    assert said(folder, "    password: hush\n") == []
