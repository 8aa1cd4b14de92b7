"""The text of a source's clients: most of every page, so this is where a poll spends its time.

Two things keep it fast. What seldom changes of a client, its labels, is text already and only compared. And each family
is written in one go, from columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any

from msgspec import Struct

from exporter import metrics
from exporter.exposition import labels, number
from exporter.metrics import Family
from exporter.model import Client, Count, SubjectKey
from exporter.naming import People
from exporter.privacy import OPEN, Privacy


class _Text(Struct, frozen=True, gc=False):
    """A client's labels as text: the braces of its series, and both info lines. facts: what they were made from."""

    facts: tuple[object, ...]
    braces: str
    info: str
    connection: str


class _Numbers(dict[float, str]):
    """The text of each value of a column. Signals, times and zeros are the same few for thousands of clients."""

    def __missing__(self, value: float) -> str:
        text = self[value] = number(value)
        return text


class ClientLines:
    """Renders the clients of one source, and keeps the text of their labels from poll to poll."""

    def __init__(self) -> None:
        self._texts: dict[SubjectKey, _Text] = {}
        self._people: People = {}
        self._privacy = OPEN

    def render(
        self,
        source: str,
        rows: Iterable[tuple[SubjectKey, Count | None, Client]],
        since: Mapping[SubjectKey, int],
        people: People,
        privacy: Privacy = OPEN,
    ) -> dict[str, bytes]:
        """One block for each family that has samples. rows: every client on the page, with the count it shows.

        since: when clients were first seen, Unix seconds.
        """
        known = self._texts if people is self._people and privacy is self._privacy else {}
        self._texts, self._people, self._privacy = {}, people, privacy
        texts: list[_Text] = []
        clients: list[Client] = []
        counts: list[Count] = []
        counted: list[str] = []
        for key, count, client in rows:
            text = known.get(key)
            if text is None or text.facts != _facts(client):
                text = _text(source, client, people, privacy)
            self._texts[key] = text
            texts.append(text)
            clients.append(client)
            if count is not None:
                counts.append(count)
                counted.append(text.braces)

        blocks = {
            metrics.CLIENT_INFO.name: "".join([text.info for text in texts]),
            metrics.CLIENT_CONNECTION_INFO.name: "".join([text.connection for text in texts]),
        }
        for family, count_of in _COUNTS:
            name = family.name
            whole = map(count_of, counts)
            blocks[name] = "".join([f"{name}{braces} {value}\n" for braces, value in zip(counted, whole, strict=True)])
        for family, value_of in _VALUES:
            name, numbers = family.name, _Numbers()
            column = map(value_of, clients)
            blocks[name] = "".join(
                [
                    f"{name}{text.braces} {numbers[value]}\n"
                    for text, value in zip(texts, column, strict=True)
                    if value is not None
                ]
            )
        name = metrics.CLIENT_FIRST_SEEN.name
        blocks[name] = "".join(
            [f"{name}{text.braces} {since[key]}\n" for key, text in self._texts.items() if key in since]
        )
        return {name: lines.encode() for name, lines in blocks.items() if lines}


def _text(source: str, client: Client, people: People, privacy: Privacy) -> _Text:
    shown = privacy.client(client, people)
    who = (source, client.site, shown.client)
    info = (*who, shown.mac, shown.name, shown.owner, shown.vendor, shown.category)
    guest = "true" if client.guest else "false"
    connection = (*who, client.connection, client.network, client.ssid, shown.ap, shown.ip, guest)
    return _Text(
        _facts(client),
        labels(metrics.CLIENT_CONNECTED, who),
        f"{metrics.CLIENT_INFO.name}{labels(metrics.CLIENT_INFO, info)} 1\n",
        f"{metrics.CLIENT_CONNECTION_INFO.name}{labels(metrics.CLIENT_CONNECTION_INFO, connection)} 1\n",
    )


def _connected(client: Client) -> int | None:
    return None if client.connected is None else int(client.connected)


_facts: Callable[[Client], tuple[object, ...]] = attrgetter(
    *("mac", "name", "owner", "vendor", "category", "connection", "network", "ssid", "ap", "ip", "guest")
)
"""All of a client that is in its labels."""

_COUNTS: tuple[tuple[Family, Callable[[Count], int]], ...] = (
    (metrics.CLIENT_DOWNLOAD_BYTES, attrgetter("download")),
    (metrics.CLIENT_UPLOAD_BYTES, attrgetter("upload")),
    (metrics.CLIENT_DOWNLOAD_PACKETS, attrgetter("download_packets")),
    (metrics.CLIENT_UPLOAD_PACKETS, attrgetter("upload_packets")),
)
_VALUES: tuple[tuple[Family, Callable[[Client], Any]], ...] = (
    (metrics.CLIENT_CONNECTED, _connected),
    (metrics.CLIENT_LAST_SEEN, attrgetter("last_seen")),
    (metrics.CLIENT_SIGNAL, attrgetter("signal_dbm")),
    (metrics.CLIENT_SATISFACTION, attrgetter("satisfaction_ratio")),
    (metrics.CLIENT_REPORTED_DOWNLOAD, attrgetter("reported_download")),
    (metrics.CLIENT_REPORTED_UPLOAD, attrgetter("reported_upload")),
)
