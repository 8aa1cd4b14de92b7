from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import exporter
from exporter import logs
from exporter.cli import app
from exporter.logs import LogFormat


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """The command line sets the log of the whole process up: put back what was there."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_version() -> None:
    result = command("--version")
    assert (result.exit_code, result.output) == (0, f"bandwidth-exporter {exporter.__version__}\n")


@pytest.mark.parametrize("words", [["openwrt-script"], ["--version"], ["run", "--help"]])
def test_a_full_disk_under_its_output_is_said_in_words(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "exporter", *words]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    said = "what is printed cannot be written: No space left on device; make room for it"
    assert (ended.returncode, ended.stderr) == (1, f"bandwidth-exporter: {said}\n")


def test_without_a_command_it_helps() -> None:
    output = command().output
    assert "run" in output
    assert "demo" in output


def test_a_missing_configuration_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    result = command("run", "--config", path)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == (
        f"There is no {path}. Copy config.example.yaml there and put your controller in,\n"
        "or see what it looks like on a simulated network first: bandwidth-exporter demo\n"
    )


def test_a_bad_configuration_is_refused_with_every_error(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("timezone: Berlin\nsources: []\n")
    result = command("run", "--config", path)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f'{path}:1: timezone: "Berlin" is no time zone; write a name such as Europe/Berlin or UTC',
        f"{path}:2: sources: is empty; write at least one source",
    ]


@pytest.mark.parametrize("subcommand", ["run", "check"])
def test_a_path_that_cannot_be_looked_at_is_refused_in_words(tmp_path: Path, subcommand: str) -> None:
    path = tmp_path / ("x" * 300)
    result = command(subcommand, "--config", path)
    assert result.exit_code == 2
    assert result.stderr == f"{path}: cannot be read (File name too long)\n"


def test_a_bad_address_for_the_demo() -> None:
    result = command("demo", "--listen", "localhost")
    assert result.exit_code == 2
    assert result.stderr == (
        '--listen: "localhost" is no address to listen on; write host:port, such as 127.0.0.1:10477 or [::1]:10477\n'
    )


@pytest.fixture
def record() -> logging.LogRecord:
    record = logging.LogRecord("exporter.poller", logging.WARNING, "poller.py", 7, "home: %s\n\x1b[2J", ("42 ü",), None)
    record.created = 1763710318.25
    return record


def test_text_lines_keep_to_one_line(record: logging.LogRecord) -> None:
    line = logs.TextFormatter().format(record)
    at, level, message = line.split(" ", 2)
    assert level == "WARNING"
    assert message == "home: 42 ü\\n\\x1b[2J"
    assert at[10] == "T"
    assert at[-6] in "+-"


def test_json_lines(record: logging.LogRecord) -> None:
    line = logs.JsonFormatter().format(record)
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2025-11-21T07:31:58.250+00:00",
        "level": "warning",
        "logger": "exporter.poller",
        "message": "home: 42 ü\n\x1b[2J",
    }


@pytest.mark.parametrize("log_format", LogFormat)
def test_tracebacks_are_kept(log_format: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup(log_format)
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("exporter").exception("home: a bug")
    stderr = capsys.readouterr().err
    assert "home: a bug" in stderr
    assert "ValueError: odd" in stderr
    assert len(stderr.splitlines()) == 1 or log_format is LogFormat.TEXT


def test_libraries_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup(LogFormat.TEXT)
    for name in logs.QUIET:
        logging.getLogger(name).info("a connection")
    assert capsys.readouterr().err == ""
