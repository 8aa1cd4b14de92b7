"""Tries an OpenWrt router out, step by step: reach, host key, login, shell, nlbwmon, and what may spoil its numbers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import paramiko

from exporter.check import Finding, Level
from exporter.sources.base import Reason, SourceError
from exporter.sources.nlbwmon import NlbwmonSource, exchange, hostkeys, trial
from exporter.sources.nlbwmon.commands import Format, script
from exporter.sources.nlbwmon.exchange import Answer, Exchange, ExitError
from exporter.sources.nlbwmon.hostkeys import described
from exporter.sources.nlbwmon.keys import pinned_keys
from exporter.sources.nlbwmon.payload import PayloadError
from exporter.sources.nlbwmon.router import Router
from exporter.sources.nlbwmon.settings import NlbwmonSettings
from exporter.sources.nlbwmon.symptoms import symptoms
from exporter.sources.nlbwmon.trial import QUESTIONS, Told
from exporter.sources.nlbwmon.wans import Wans

# Whatever was tried, these say where it failed.
_SUBJECTS: Final[dict[Reason, str]] = {
    "unreachable": "reach",
    "timeout": "reach",
    "host_key": "host key",
    "login": "login",
}

_ON_THE_ROUTER: Final = "on the router, `dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key` shows its own"


def check(
    name: str, settings: NlbwmonSettings, interval: float = 30.0, wall: Callable[[], float] = time.time
) -> Iterator[Finding]:
    """Try the router of the source `name`, which is polled every `interval` seconds.

    Ends with the first error that leaves nothing to go on with.
    """
    trial = _Trial(name, settings, interval, wall)
    try:
        yield from trial.run()
    except SourceError as error:
        yield trial.failed(error)
    finally:
        trial.close()


class _Trial:
    def __init__(self, name: str, settings: NlbwmonSettings, interval: float, wall: Callable[[], float]) -> None:
        self._name = name
        self._settings = settings
        self._interval = interval
        self._wall = wall
        self._router = Router(settings)
        self._step = ""

    def run(self) -> Iterator[Finding]:
        self._step = "reach"
        keys = hostkeys.shown(self._settings)
        yield self._said("ok", f"an SSH server answers at {self._settings.where}")
        self._step = "host key"
        trust = self._trust(keys)
        yield trust
        if trust.level == "error":
            return
        self._step = "login"
        told, answer = self._ask("json")
        yield self._said("ok", f"{self._settings.username} is logged in")
        self._step = "shell"
        if told.answered == "other":
            yield from self._without_shell()
            return
        spoiled = told.status == 0 and told.rows is None
        if spoiled:
            told, answer = self._ask("csv")
        yield self._shell(told, answer)
        if spoiled:
            yield self._said(
                "warning",
                "its JSON cannot be read, so CSV is read instead",
                "look for a quote in the names of /usr/share/nlbwmon/protocols on the router",
                "nlbw",
            )
        if answer:
            yield self._lines(answer)
        for finding in symptoms(told, self._interval, self._wall(), self._settings.where):
            yield self._said(finding.level, finding.message, finding.remedy, finding.subject)

    def close(self) -> None:
        self._router.close()

    def failed(self, error: SourceError) -> Finding:
        return self._said("error", error.problem, error.remedy, _SUBJECTS.get(error.reason, self._step))

    def _said(self, level: Level, message: str, remedy: str = "", subject: str = "") -> Finding:
        return Finding(level, subject or self._step, message, remedy, self._name)

    def _trust(self, keys: list[paramiko.PKey]) -> Finding:
        pinned = pinned_keys(self._settings)
        path, place = self._settings.known_hosts, self._settings.place
        pin = f"`bandwidth-exporter pin {self._name}`"
        if not pinned:
            return self._said(
                "error",
                f"{path} has no key of {place}, so no password is sent; it shows {described(keys[0])}",
                f"{_ON_THE_ROUTER}; where they are the same, {pin} writes it down",
            )
        same, other = hostkeys.judged(keys, pinned)
        if other:
            return self._said(
                "error",
                f"THE HOST KEY HAS CHANGED: {path} has {described(pinned[other[0]])}, and {place} shows "
                f"{', '.join(described(key) for key in keys)}. Somebody may be in between; no password was sent",
                f"{_ON_THE_ROUTER}; only where the router was reset or replaced, and they are the same, "
                f"{pin[:-1]} --replace` writes the new one down",
            )
        if same == [hostkeys.RSA]:
            return self._said(
                "warning",
                f"only an RSA key is pinned ({described(pinned[hostkeys.RSA])}); a router may make itself a new one of "
                "another kind and show no RSA key any more",
                f"{pin} writes {described(keys[0])} down as well" if keys[0].get_name() != hostkeys.RSA else "",
            )
        return self._said("ok", f"{described(pinned[same[0]])} is the pinned one")

    def _ask(self, form: Format) -> tuple[Told, Answer | None]:
        """What the router tells, and what a poll would make of it; None where it could make nothing."""
        self._router.begin()
        token = secrets.token_hex(16)
        output = self._router.run(script(token, (), form) + QUESTIONS)
        answer = None
        with suppress(ExitError, PayloadError):
            answer = exchange.read(output, token, form)
        return trial.read(output, token, form), answer

    def _shell(self, told: Told, answer: Answer | None) -> Finding:
        who = "a shell answers" if told.answered == "shell" else "the exporter's own forced command answers"
        if answer and answer.missing:
            return self._said(
                "warning",
                f"{who}, but {' and '.join(answer.missing)} cannot be read: restarts and rollovers of nlbwmon are "
                "guessed from values that fall, and their last bytes are lost",
                "log in as root",
            )
        proof = ", so every restart and rollover of nlbwmon is proved" if isinstance(answer, Exchange) else ""
        rest = "" if told.answered == "shell" else "; what else a shell would tell is not known"
        return self._said("ok", f"{who}{proof}{rest}")

    def _without_shell(self) -> Iterator[Finding]:
        """What a poll comes to where a key is bound to another command."""
        source = NlbwmonSource(self._settings, self._wall)
        try:
            poll = source.poll()
        finally:
            source.close()
        for notice in poll.notices:
            message, _, remedy = notice.rpartition("; ")
            yield self._said("warning", message or remedy, remedy if message else "")
        yield self._said("ok", f"nlbwmon answers with {poll.rows} rows", subject="daemon")

    def _lines(self, answer: Answer) -> Finding:
        readings, lines = Wans("").read(answer.network, answer.boot)
        counted = {subject.key for reading in readings for subject in reading.subjects}
        named = [f"{line.wan} on {line.interface}" for line in lines if line.wan in counted]
        if named:
            return self._said("ok", f"counted: {', '.join(named)}", subject="line")
        return self._said(
            "warning",
            "no line to the outside can be read, so only clients are counted",
            "see whether an interface in `ubus call network.interface dump` has a default route",
            "line",
        )
