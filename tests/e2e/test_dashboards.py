"""Every query of every shipped dashboard and rule, asked of a real Prometheus and a real PostgreSQL that know the demo.

The demo is lived in simulated time (tests/e2e/lived.py): an evening, with the one before for what is compared with it.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import psycopg2

from exporter.store.postgres.migrate import grant, migrate
from exporter.store.postgres.target import Target
from tests.archive.server import FEEDER, OWNER, PASSWORDS, Database, Server
from tests.e2e.asked import Asked, asked, boards, chosen, of_rules
from tests.e2e.lived import EVENING, Install, busy_house, live
from tests.e2e.stored import Stored, stored

MINUTE: Final = 60.0
DAY: Final = 86_400.0

HOSTILE: Final = "02:00:5e:00:00:02"
"""Somebody whose name is no name."""

MAY_BE_EMPTY: Final = {
    "*/annotation Line down/": "the demo's lines stay up",
    "bandwidth-overview/Lines that went down or came back/A": "the demo's lines stay up",
    "bandwidth-wifi/Ports that lost their link/A": "the demo's ports keep their links",
    "bandwidth-overview/* today and this month/[GH]": "compared with a month ago, of which the demo knows nothing",
    "bandwidth-overview/Alerts/A": "alerts are made by rules that run (tests/e2e/test_alerts_reach.py)",
    "*/How quotas stand/E": "when a quota will be passed: none of the demo's will",
    "bandwidth-wifi/Weak signal/A": "everybody hears the demo's access points well",
    "bandwidth-wifi/Bad connection/A": "everybody is content with the demo's access points",
    "rules/alert/*": "nothing is wrong in the demo",
    "rules/record/*:increase1h_mean4w": "the same hour of past weeks, of which the demo knows nothing",
    "bandwidth-exporter/Skipped records by reason/A": "the demo's records are in order",
}
"""Queries, as dashboard/panel/letter, for which the demo has no value, and why."""


@contextmanager
def database() -> Iterator[Database]:
    """A PostgreSQL with the archive's tables."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            server.start()
            made = server.make()
            owner = Target(made.url(OWNER), PASSWORDS[OWNER])
            migrate(owner)
            grant(owner, FEEDER)
            yield made
        finally:
            server.stop()


def values(each: Asked, server: Stored) -> list[float] | str:
    """What Prometheus answers, or its error."""
    answer = each.of(server)
    return answer.error or answer.numbers()


def rows(archive: Database, each: Asked) -> list[float] | str:
    """The numbers that PostgreSQL answers, or its error."""
    try:
        return [
            float(value)
            for row in archive.query(each.text)
            for value in row
            if isinstance(value, int | float | Decimal)
        ]
    except psycopg2.Error as error:
        return str(error)


def trouble(each: Asked, answer: list[float] | str) -> Iterator[str]:
    """An error; nothing, where that is not expected; what is no number."""
    if isinstance(answer, str):
        yield f"{each.place}: {answer}: {each.text}"
    elif not answer and not any(fnmatchcase(each.place, place) for place in MAY_BE_EMPTY):
        yield f"{each.place} is empty: {each.text}"
    elif not all(map(math.isfinite, answer)):
        yield f"{each.place} is no number: {each.text}"


def test_every_query_of_every_dashboard_and_rule(tmp_path: Path) -> None:
    with busy_house(EVENING + 35 * MINUTE - DAY) as house, database() as archive:
        install = Install(tmp_path / "install", house, archive=Target(archive.url(), PASSWORDS[FEEDER]))
        house.network.add_client(HOSTILE, 'Ben\n"} 1\nup 0 {{ .Foo }} $client', age=DAY)
        install.start()
        live(house, 7 * MINUTE, install)
        house.advance(EVENING)
        live(house, 7 * MINUTE, install)
        house.network.restart_ap(house.network.aps[0])
        live(house, 8 * MINUTE, install)
        house.set_down(down=True)
        live(house, 6 * MINUTE, install)
        house.set_down(down=False)
        live(house, 19 * MINUTE, install)
        wrong: list[str] = []
        with stored(tmp_path / "stored", install.shown, since=EVENING) as server:
            every = [each for board in boards() for each in asked(board, server)] + list(of_rules())
            [known] = [chosen(board, server) for board in boards() if board.uid == "bandwidth-client"]
            assert HOSTILE in known["client"], "a client cannot be chosen"
            for each in every:
                wrong += trouble(each, rows(archive, each) if each.sql else values(each, server))
        install.stop()
    assert not wrong, "\n".join(wrong)
    places = [each.place for each in every]
    unknown = [place for place in MAY_BE_EMPTY if not any(fnmatchcase(each, place) for each in places)]
    assert unknown == [], "there are no such queries"
    assert len(every) > 150
