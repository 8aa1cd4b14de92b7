"""From a snapshot to text: what Prometheus reads, in the text format 0.0.4.

A source's blocks, one for each family, are rendered once a poll; the page is put together once a generation, by the
first scrape that needs it. prometheus-client renders only what is about the process: for a page of clients it takes
more than ten times as long as this (docs/performance.md).
"""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache

from exporter.metrics import FAMILIES, Family

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
GZIP_LEVEL = 1
"""A page is read over the LAN once and thrown away: level 6 takes twice as long for a tenth less."""

GZIP = 16 + zlib.MAX_WBITS
"""zlib's word for a gzip header and the largest window."""

Blocks = Mapping[str, bytes]
"""The samples of one source: family name → lines. A family without samples has no entry."""

_ESCAPES = str.maketrans(
    {chr(code): "\N{REPLACEMENT CHARACTER}" for code in (*range(0x20), *range(0x7F, 0xA0))}
    | {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
)
_SURROGATE = re.compile("[\ud800-\udfff]")


@lru_cache(maxsize=65536)
def escape(value: str) -> str:
    """A label value as it stands between the quotes. What is no text (control characters, lone surrogates) is replaced.

    A NUL would end the page for Prometheus' parser, and everybody on the LAN may name his phone.
    """
    if _SURROGATE.search(value):
        value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value.translate(_ESCAPES)


def labels(family: Family, values: Iterable[str]) -> str:
    """The braces of one series of the family, with its label values in the family's order."""
    return (
        "{" + ",".join([f'{name}="{escape(value)}"' for name, value in zip(family.labels, values, strict=True)]) + "}"
    )


def number(value: float) -> str:
    """A sample's value: whole numbers with all their digits, others as short as they read back."""
    return str(value) if isinstance(value, int) else repr(value)


class Page:
    """The text of one generation, and its gzip, each made when first asked for."""

    def __init__(self, generation: int, parts: list[bytes]) -> None:
        self.generation = generation
        self._parts = parts
        self._lock = threading.Lock()
        self._text: bytes | None = None
        self._gzip: bytes | None = None

    def text(self) -> bytes:
        """The page as it is."""
        with self._lock:
            if self._text is None:
                self._text = b"".join(self._parts)
            return self._text

    def gzip(self) -> bytes:
        """The page compressed. Made from the parts: Prometheus always asks for this, so the text need never be."""
        with self._lock:
            if self._gzip is None:
                packer = zlib.compressobj(GZIP_LEVEL, wbits=GZIP)
                self._gzip = b"".join([*map(packer.compress, self._parts), packer.flush()])
            return self._gzip


class Exposition:
    """What is published. Written by the committer's thread, read by the web server's threads."""

    def __init__(self, own: Callable[[], bytes] = bytes) -> None:
        """own: renders the metrics about the process itself."""
        self._own = own
        self._lock = threading.Lock()
        self._blocks: dict[str, Blocks] = {}
        self._common: Blocks = {}
        self._pages: dict[str | None, Page] = {}
        self.generation = 0

    def publish(self, blocks: Mapping[str, Blocks], gone: Collection[str] = (), common: Blocks | None = None) -> None:
        """Put new blocks in the place of the old ones of these sources, and drop those of others: a new generation.

        common: what is on the page of no single source; None leaves it as it is.
        """
        with self._lock:
            self._blocks.update(blocks)
            if common is not None:
                self._common = common
            for name in gone:
                self._blocks.pop(name, None)
            self._pages.clear()
            self.generation += 1

    def page(self, source: str | None = None) -> Page | None:
        """The page, or one source's part of it; None where there is no such source."""
        with self._lock:
            page = self._pages.get(source)
            if page is None:
                if source is not None and source not in self._blocks:
                    return None
                chosen = [self._blocks[source]] if source is not None else [*self._blocks.values(), self._common]
                own = self._own() if source is None else b""
                page = self._pages[source] = Page(self.generation, [*assemble(chosen), own])
            return page


def assemble(sources: Iterable[Blocks]) -> Iterator[bytes]:
    """The blocks of several sources with their headers: every family once and in one piece."""
    sources = list(sources)
    for family in FAMILIES:
        blocks = [blocks[family.name] for blocks in sources if family.name in blocks]
        if blocks:
            yield _header(family)
            yield from blocks


@lru_cache(maxsize=len(FAMILIES))
def _header(family: Family) -> bytes:
    help_text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {family.name} {help_text}\n# TYPE {family.name} {family.type}\n".encode()


def samples(family: Family, series: Iterable[tuple[tuple[str, ...], float]]) -> bytes:
    """A block of a small family: label values and value of each sample."""
    name = family.name
    return "".join([f"{name}{labels(family, values)} {number(value)}\n" for values, value in series]).encode()
