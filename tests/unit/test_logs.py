"""Log lines: one each, whatever stands in them; for people, for machines, and for systemd's journal."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.logs import FAULT, JsonFormatter, TextFormatter, about, fault_words, masked

ROOT = Path(__file__).parents[2]
FORGED = "phone\n2026-11-21T08:00:00+00:00 CRITICAL home: pay here\r\x1b[2J\u2028x\u202ey"
SAY = """
import logging
from exporter.logs import LogFormat, setup
setup(LogFormat.{format})
log = logging.getLogger("exporter")
log.info("home: %s", {text!r})
log.warning("attic: down")
try:
    raise ValueError({text!r})
except ValueError:
    log.exception("home: a fault")
"""


def record(message: str, *, level: int = logging.INFO, error: Exception | None = None) -> logging.LogRecord:
    raised = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("exporter.poller", level, "poller.py", 7, "home: %s", (message,), raised)


def raised(message: str) -> Exception:
    """An exception with a traceback."""
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


def say(log_format: str, *, journal: bool, other: bool = False) -> list[str]:
    """The lines of a process whose stderr is a pipe, which it is told is the journal, or that another pipe is."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as lines:
        stream = os.fstat(writer)
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        env.pop("JOURNAL_STREAM", None)
        if journal:
            env["JOURNAL_STREAM"] = f"{stream.st_dev}:{stream.st_ino + other}"
        program = SAY.format(format=log_format, text=FORGED)
        subprocess.run([sys.executable, "-c", program], stderr=writer, env=env, check=True)
        os.close(writer)
        return lines.read().split("\n")[:-1]


@given(st.text())
def test_no_text_begins_a_line(text: str) -> None:
    line = TextFormatter().format(record(text))
    assert len(line.splitlines()) == 1
    assert line.startswith("20")
    assert len(JsonFormatter().format(record(text)).splitlines()) == 1


@given(st.text())
def test_no_text_of_an_error_looks_like_a_line(text: str) -> None:
    _, *rest = TextFormatter().format(record("x", error=raised(text))).splitlines()
    assert all(line.startswith("    ") for line in rest)
    _, *rest = TextFormatter(journal=True).format(record("x", error=raised(text))).splitlines()
    assert all(line.startswith("<6>    ") for line in rest)


def test_in_the_journal_every_line_has_its_priority_and_none_a_time() -> None:
    first, second, *fault = say("TEXT", journal=True)
    assert first == r"<6>home: phone\n2026-11-21T08:00:00+00:00 CRITICAL home: pay here\r\x1b[2J\u2028x\u202ey"
    assert second == "<4>attic: down"
    assert fault[0] == "<3>home: a fault"
    assert len(fault) > 3
    assert all(line.startswith("<3>    ") for line in fault[1:])


def test_without_anywhere_to_write_it_goes_on() -> None:
    program = SAY.format(format="TEXT", text="x")
    closed = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert closed.returncode == 0


@pytest.mark.parametrize(("journal", "other"), [(False, False), (True, True)], ids=["none", "redirected"])
def test_elsewhere_every_line_has_its_time(journal: bool, other: bool) -> None:
    first, second, *_ = say("TEXT", journal=journal, other=other)
    assert re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d INFO home: phone\\n2026", first)
    assert second.endswith(" WARNING attic: down")


def test_json_is_json_in_the_journal_too() -> None:
    lines = [json.loads(line) for line in say("JSON", journal=True)]
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert lines[0]["message"] == f"home: {FORGED}"
    assert "ValueError" in lines[2]["traceback"]
    assert all(line.keys() - {"traceback"} == {"time", "level", "logger", "message"} for line in lines)


def test_json_says_which_source_a_line_is_about() -> None:
    with about("home"):
        inside = json.loads(JsonFormatter().format(record("x")))
    assert inside["source"] == "home"
    assert "source" not in json.loads(JsonFormatter().format(record("x")))


def test_tracebacks_show_no_mac() -> None:
    error = raised("no such key: 02:AA:bb:00:00:01 (12-34-56-78-9a-bc)")
    for line in (TextFormatter().format(record("x", error=error)), JsonFormatter().format(record("x", error=error))):
        assert "no such key: xx:xx:xx:xx:xx:xx (xx:xx:xx:xx:xx:xx)" in line
    assert masked("fe80::12:34 at 10:20:30, 2001:db8:11:22:33:44:55:66") == (
        "fe80::12:34 at 10:20:30, 2001:db8:11:22:33:44:55:66"
    )


def fault(text: str, error: Exception) -> logging.LogRecord:
    return record(text, level=logging.ERROR, error=error)


def test_a_fault_has_its_traceback_once_and_a_line_after_that() -> None:
    formatter = TextFormatter()
    first, second, third = (formatter.format(fault(FAULT, raised(f"number {number}"))) for number in range(3))
    assert "ValueError: number 0" in first
    assert second.splitlines() == [second]
    assert "please report it (ValueError at test_logs.py:" in second
    assert second.partition("ERROR")[2] == third.partition("ERROR")[2]
    assert "Traceback" in formatter.format(fault("another place", raised("x")))
    assert "KeyError" in formatter.format(fault(FAULT, KeyError("x"))).splitlines()[-1]


def test_faults_that_are_new_every_time_fill_no_memory() -> None:
    formatter = JsonFormatter()
    for number in range(JsonFormatter.MOST + 10):
        assert "traceback" in json.loads(formatter.format(fault(f"source {number}", raised("x"))))
    assert len(formatter._shown) == JsonFormatter.MOST


def test_the_words_for_a_fault_quote_nothing() -> None:
    words = fault_words(raised("02:00:00:00:00:01 is a secret"))
    assert words.startswith("a fault in the exporter itself; please report it (ValueError at test_logs.py:")
    assert "secret" not in words
    assert fault_words(ValueError("secret")) == "a fault in the exporter itself; please report it (ValueError)"
