"""Reading a router by `nlbw` alone: where a key is bound to it, or where facts are missing that would prove more.

A command bound to a key may answer everything with the rows of now. Taken for a closed period they would be counted
twice, so a period that cannot be there is asked for first: nothing but `no data` to that lets `-t` be believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from exporter.model import Count
from exporter.sources.nlbwmon import trouble
from exporter.sources.nlbwmon.bases import Bases, labels_of
from exporter.sources.nlbwmon.commands import NEVER, Format, periods_alone, rows_alone
from exporter.sources.nlbwmon.lives import VoidError, counts_of
from exporter.sources.nlbwmon.payload import PayloadError, Row, Rows, found_rows

NO_DATA: Final = 195  # the status of `nlbw -t` where a period has no file (nlbwmon reference, §1.4)
_OF_NLBW: Final = frozenset({127, NO_DATA, 247})


class Runs(Protocol):
    """What is needed of router.Router."""

    @property
    def connections(self) -> int: ...
    @property
    def status(self) -> int | None: ...
    def run(self, command: str) -> bytes: ...


class Plain:
    """Runs `nlbw` on one router, and remembers where its rows began."""

    def __init__(self, router: Runs, where: str) -> None:
        self._router = router
        self._where = where
        self._form: Format = "json"
        self._probed = 0
        self._dated = False
        self._bases = Bases()

    @property
    def dated(self) -> bool:
        """Whether `-t` is answered on this connection. Asks for a period that cannot be there, once."""
        if self._probed != self._router.connections:
            self._router.run(rows_alone(self._form, NEVER))
            self._dated, self._probed = self._router.status == NO_DATA, self._router.connections
        return self._dated

    def rows(self) -> Rows:
        """The rows of now. Raises SourceError."""
        try:
            return self._rows()
        except PayloadError:
            self._form = "csv" if self._form == "json" else "json"  # a protocol's name may spoil the JSON
        try:
            return self._rows()
        except PayloadError:
            self._form = "json"
            raise trouble.refused(self._where) from None

    def bases(self, rows: tuple[Row, ...], at: float) -> Callable[[str, Count], Count | None]:
        """Where rows began, by key, of rows that were just read. at: our clock. Raises SourceError or VoidError."""
        counts = counts_of(rows)
        if self._bases.fell(counts):
            if self.dated:
                self._learn(counts, at)
            else:
                self._bases.forget()
        self._bases.see(counts, at)
        return self._bases.base

    def forget(self) -> None:
        """Rows were read since of which more is known than can be told here."""
        self._bases = Bases()

    def _learn(self, counts: Mapping[str, Count], at: float) -> None:
        connection = self._router.connections
        listed = labels_of(self._router.run(periods_alone()))
        files: dict[str, Mapping[str, Count]] = {}
        for label in self._bases.candidates(listed, at):
            output = self._router.run(rows_alone(self._form, label))
            if self._router.status == 0:
                try:
                    files[label] = counts_of(tuple(found_rows(output, self._form).rows))
                except PayloadError:
                    continue  # what it holds is not known, and nothing is taken from it
        again = counts_of(tuple(self.rows().rows))
        went_on = all(_reaches(again.get(key, count), count) for key, count in counts.items())
        if not went_on or self._router.connections != connection:
            raise VoidError
        self._bases.learn(counts, listed, files, at)

    def _rows(self) -> Rows:
        output = self._router.run(rows_alone(self._form))
        if self._router.status == NO_DATA:  # without -t it passes (nlbwmon reference, §1.4)
            output = self._router.run(rows_alone(self._form))
        status = self._router.status
        if status in _OF_NLBW:
            raise trouble.of_status(status, self._where)
        if status:
            raise trouble.refused(self._where)
        return found_rows(output, self._form)


def _reaches(count: Count, floor: Count) -> bool:
    return count.download >= floor.download and count.upload >= floor.upload
