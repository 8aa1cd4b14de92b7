"""What is sent to a router's shell, and the command that a restricted key runs instead. One set of commands for both.

The first line of what is sent is the request, which the shell passes over and a forced command reads:
`: bandwidth-exporter 1 <token> <form> [<label> ...]`, with a token of 32 hex digits and labels of eight digits.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

from exporter.sources.nlbwmon.periods import dashed

Format = Literal["json", "csv"]

VERSION: Final = 1
NLBW: Final = "/usr/sbin/nlbw"  # the PATH of dropbear is chosen when it is built (nlbwmon reference, §4.2)


NEVER: Final = "29991231"
"""A period that cannot be there: what answers it with rows answers everything with them."""


def rows_alone(form: Format, label: str = "") -> str:
    """What is sent where a key runs nothing but nlbw. label: of a period whose file is wanted instead."""
    return f"{NLBW} -c {form} -t {dashed(label)}" if label else f"{NLBW} -c {form}"


def periods_alone() -> str:
    """The same for the list of periods."""
    return f"{NLBW} -c list"


def script(token: str, labels: Iterable[str] = (), form: Format = "json") -> str:
    """What is sent to the router's shell. labels: of the periods whose files are to be read beside the running one."""
    periods = " ".join(labels)
    request = f": bandwidth-exporter {VERSION} {token} {form} {periods}".rstrip()
    return f"{request}\ntoken={token} form={form} labels='{periods}'\n{_text('commands.sh')}"


def forced_command() -> str:
    """A shell script for the router that serves requests, and nothing else, to a key that is bound to it."""
    return _text("forced.sh") + _text("commands.sh")


def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")
