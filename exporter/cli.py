"""The command `bandwidth-exporter`. What a command needs is imported when it runs, so that `--help` answers at once."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

import exporter
from exporter import logs
from exporter.logs import LogFormat

if TYPE_CHECKING:
    from exporter.commands.answers import Comparison, Report, Top
    from exporter.config import Config, SourceEntry

# The exit status for what the user has to mend, as shells have it.
MISUSED = 2

# And that for Ctrl-C.
INTERRUPTED = 130

# What is wrong with the file is said when it is read, in words of our own.
ConfigPath = Annotated[Path, typer.Option(help="The configuration file.", readable=False)]

app = typer.Typer(
    help="Every byte your network meters, counted once, as Prometheus counters.",
    no_args_is_help=True,
    add_completion=False,
    # A traceback of its own kind, with every local variable, would show secrets.
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line, and exit with its status."""
    try:
        app(prog_name="bandwidth-exporter")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left of it is not tried again
        sys.exit(f"bandwidth-exporter: what is printed cannot be written: {error.strerror}; make room for it")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bandwidth-exporter {exporter.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    log_format: Annotated[LogFormat, typer.Option(help="Log lines for people, or as JSON.")] = LogFormat.TEXT,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    logs.setup(log_format)


def _hear_no_hangup() -> None:
    """A SIGHUP that comes before there is anything to read again must not end the process."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@app.command()
def run(
    config: ConfigPath = Path("config.yaml"),
) -> None:
    """Poll the sources of a configuration and serve what they metered."""
    _hear_no_hangup()
    loaded = _load(config)
    from exporter.config import load
    from exporter.service import run as run_service

    raise typer.Exit(run_service(loaded, lambda: load(config, os.environ)))


@app.command()
def check(
    config: ConfigPath = Path("config.yaml"),
    source: Annotated[str, typer.Option(help="Try this source only.", show_default=False)] = "",
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Each line a JSON object with level, source, subject, message and remedy."),
    ] = False,
) -> None:
    """Try a configuration out: what works, what does not, and what to do about it.

    The exit status is 0 if all works (warnings are no failure), 1 if a part does not, 2 if the file is wrong.
    """
    loaded = _load(config)
    if source:
        _entry(loaded, source, config)
    from exporter.check import exit_status, findings
    from exporter.config.check import check as check_secrets

    found = []
    try:
        for finding in chain(() if source else check_secrets(config), findings(loaded, source)):
            typer.echo(finding.json() if as_json else str(finding))
            found.append(finding)
    except KeyboardInterrupt:
        typer.echo("stopped before all was tried", err=True)
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(exit_status(found))


@app.command()
def pin(
    source: Annotated[str, typer.Argument(help="The source's name.", show_default=False)],
    config: ConfigPath = Path("config.yaml"),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: what it shows was compared already.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Trust another one than before.")] = False,
) -> None:
    """Show who a source is, and on a yes trust it: a router's SSH host key, or a controller's certificate.

    The key goes into the source's known_hosts, the certificate's fingerprint into the configuration.

    The exit status is 0 if the source is trusted now, 1 if it is not, 2 if nobody can be asked or the file is wrong.
    """
    entry = _entry(_load(config), source, config)
    from exporter.config.errors import one_line
    from exporter.pin import PinError, offer_of
    from exporter.sources import SourceError

    try:
        offer = offer_of(entry, config, os.environ)
        for line in offer.lines:
            typer.echo(one_line(line))
        if offer.pinned:
            typer.echo(f"{entry.name} is trusted by it already")
            return
        if offer.changed and not replace:
            _fail(offer.changed)
        if offer.obstacle:
            _fail(offer.obstacle)
        if not yes and not sys.stdin.isatty():
            _refuse("Nobody can be asked here, so nothing was written. Compare it, then say --yes.")
        if not yes and not typer.confirm("Is it the same, and to be trusted?"):
            _fail("nothing was written")
        typer.echo(one_line(offer.write()))
    except (PinError, SourceError) as error:
        _fail(str(error))


def _fail(words: str) -> NoReturn:
    typer.echo(words, err=True)
    raise typer.Exit(1)


@app.command()
def openwrt_script() -> None:
    """Print the command for a restricted key: it tells a router's numbers to the exporter and does nothing else."""
    from exporter.sources.nlbwmon import forced_command

    typer.echo(forced_command(), nl=False)


def _entry(loaded: Config, name: str, config: Path) -> SourceEntry:
    """The source of that name, or the end."""
    from exporter.config.errors import quoted

    entries = {entry.name: entry for entry in loaded.sources}
    if name not in entries:
        _refuse(f"There is no source {quoted(name)} in {config}. There is: {', '.join(entries)}")
    return entries[name]


def _may_be_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return True  # and reading it says why it cannot be looked at


def _load(config: Path) -> Config:
    """The configuration, or the end with everything that is wrong with it."""
    from exporter.config import ConfigError, load

    if not _may_be_there(config):
        _refuse(
            f"There is no {config}. Copy config.example.yaml there and put your controller in,\n"
            "or see what it looks like on a simulated network first: bandwidth-exporter demo"
        )
    try:
        return load(config, os.environ)
    except ConfigError as error:
        _refuse(str(error))


@app.command()
def forget(
    client: Annotated[str, typer.Argument(help="Its MAC or IP address, pseudonym, or name in the configuration.")],
    config: ConfigPath = Path("config.yaml"),
    source: Annotated[str | None, typer.Option(help="Only in this source.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take a client out of the state for good. The sums of its sites keep its bytes. Not while the exporter runs."""
    from exporter.commands import forget as command
    from exporter.store import StateError

    loaded = _load(config)
    try:
        clients = command.look_up(loaded, client, source)
        for each in sorted(clients):
            typer.echo(f"{each.client} in source {each.source}{f', site {each.site}' if each.site else ''}")
        if not yes and not typer.confirm("Forget it, its totals and its history? This cannot be undone."):
            _fail("nothing was forgotten")
        typer.echo(command.forget(loaded, clients))
    except command.UnclearError as error:
        _refuse(str(error))
    except StateError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@app.command()
def whois(
    pseudonym: Annotated[str, typer.Argument(help="What stands on the page, such as anon-0123456789abcdef.")],
    config: ConfigPath = Path("config.yaml"),
) -> None:
    """Say whose a pseudonym is, with the key in the state."""
    from exporter.commands.forget import whois as resolve
    from exporter.store import StateError

    loaded = _load(config)
    try:
        found = resolve(loaded.state, pseudonym)
    except StateError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    for address in found:
        typer.echo(address)
    if not found:
        typer.echo("Nobody in the state has this pseudonym.", err=True)
        raise typer.Exit(1)


_Owner = Annotated[
    str,
    typer.Option("--url", help="The database as its owner, without a password: that is in PGPASSWORD or ~/.pgpass."),
]


@app.command()
def migrate(
    config: Annotated[Path, typer.Option(help="The configuration file.")] = Path("config.yaml"),
    url: _Owner = "",
    grant: Annotated[str, typer.Option(help="The role that the exporter runs as: let it feed the tables.")] = "",
) -> None:
    """Make the tables of the archive in PostgreSQL, or bring them to this version. The state upgrades itself."""
    from exporter.commands import archive as command

    _on_archive(lambda: command.migrate(command.target_at(url) if url else command.target_in(_load(config)), grant))


@app.command()
def prune(
    config: Annotated[Path, typer.Option(help="The configuration file.")] = Path("config.yaml"),
    url: _Owner = "",
) -> None:
    """Remove from the archive in PostgreSQL what is older than `archive.retention`. The state prunes itself."""
    from exporter.commands import archive as command

    loaded = _load(config)
    _on_archive(lambda: command.prune(loaded, command.target_at(url) if url else command.target_in(loaded)))


def _on_archive(work: Callable[[], str]) -> None:
    from exporter.commands.archive import NoArchiveError
    from exporter.store import StateError
    from exporter.store.postgres.connection import ArchiveError

    try:
        typer.echo(work())
    except NoArchiveError as error:
        _refuse(str(error))
    except (ArchiveError, StateError) as error:
        _fail(str(error))


_Source = Annotated[str | None, typer.Option(help="Only this source.", show_default=False)]
_Most = Annotated[int, typer.Option("--most", min=1, max=100_000, help="How many rows.")]
_Json = Annotated[bool, typer.Option("--json", help="As one JSON object; bytes and Unix seconds.")]
_PERIOD = "today, yesterday, week (from Monday), month, 2026-07, 2026-07-14, or days as 2026-07-01..2026-07-14."


@app.command()
def top(
    config: ConfigPath = Path("config.yaml"),
    period: Annotated[str, typer.Option(help=_PERIOD)] = "today",
    source: _Source = None,
    by: Annotated[str, typer.Option(help="client, owner, category or protocol.")] = "client",
    against: Annotated[
        str | None, typer.Option(help="Say what changed since this period instead, in the same words.")
    ] = None,
    most: _Most = 10,
    as_json: _Json = False,
) -> None:
    """Say who moved most, with shares and trends. Reads the state, also while the exporter runs."""
    from exporter.commands.report import make_comparison, make_top

    loaded = _load(config)
    if against is None:
        _say(lambda now: make_top(loaded, period, by, source, most, now), as_json)
    else:
        _say(lambda now: make_comparison(loaded, period, against, by, source, most, now), as_json)


@app.command()
def report(
    config: ConfigPath = Path("config.yaml"),
    period: Annotated[str, typer.Option(help=_PERIOD)] = "month",
    source: _Source = None,
    most: _Most = 10,
    as_json: _Json = False,
) -> None:
    """Report a period of a source: days, top, trends, unusual hours, 95th percentile, and why a provider differs."""
    from exporter.commands.report import make_report

    loaded = _load(config)
    _say(lambda now: make_report(loaded, period, source, most, now), as_json)


def _say(ask: Callable[[float], Top | Comparison | Report], as_json: bool) -> None:
    from exporter.commands.periods import UnclearError
    from exporter.store import StateError

    try:
        said = ask(time.time())
    except UnclearError as error:
        _refuse(str(error))
    except StateError as error:
        _fail(str(error))
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(said).decode())
        return
    from exporter.commands.tables import show

    show(said)


@app.command()
def demo(
    listen: Annotated[
        str, typer.Option(envvar="BANDWIDTH_LISTEN", help="Where to serve, as host:port.")
    ] = "127.0.0.1:10477",
    state: Annotated[Path, typer.Option(help="The demo's own state.")] = Path("data/demo.db"),
    hours: Annotated[
        float | None, typer.Option(help="Live through so many hours at speed, print what moved and what was counted.")
    ] = None,
) -> None:
    """Run on a simulated network, to see what it looks like."""
    _hear_no_hangup()
    from exporter.config.values import Wrong
    from exporter.config.values import listen as parse_listen
    from exporter.demo.run import run as run_demo
    from exporter.demo.run import run_at_speed

    if hours is not None:
        raise typer.Exit(run_at_speed(hours))
    try:
        place = parse_listen(listen)
    except Wrong as wrong:
        _refuse(f"--listen: {wrong.about(listen)}")
    raise typer.Exit(run_demo(place.host, place.port, state))


def _refuse(words: str) -> NoReturn:
    typer.echo(words, err=True)
    raise typer.Exit(MISUSED)
