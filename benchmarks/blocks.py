"""Blocks of Prometheus' own database, written directly: days of a hundred thousand series in a minute, not in hours.

Series that move alike share their chunks, which the format allows. So a query reads and decodes as much as it would in
life, and the disk holds little. Formats: prometheus/prometheus, tsdb/docs/format/{index,chunks}.md, and
tsdb/chunkenc/xor.go for how samples are packed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

CHUNK: Final = 120
"""Samples of a chunk, as Prometheus cuts them."""

_POLYNOMIAL: Final = 0x82F63B78
"""Castagnoli's, of which Python's library knows nothing."""

_XOR: Final = b"\x01"
_DOUBLE: Final = struct.Struct(">d")
_WORD: Final = struct.Struct(">Q")


class Series(NamedTuple):
    """labels: sorted by name, `__name__` among them. pattern: what it shares with others."""

    labels: tuple[tuple[str, str], ...]
    pattern: str


class Samples(NamedTuple):
    """Values at `first`, `first + step` …, in milliseconds."""

    first: int
    step: int
    values: Sequence[float]


class _Chunk(NamedTuple):
    first: int
    last: int
    reference: int


def write(folder: Path, number: int, series: Sequence[Series], patterns: Mapping[str, Samples]) -> None:
    """One block. number: of the block. series: sorted by their labels. A pattern without samples is in no block."""
    name = f"01{number:024d}"
    block = folder / name
    (block / "chunks").mkdir(parents=True)
    chunks = _write_chunks(block / "chunks" / "000001", {key: each for key, each in patterns.items() if each.values})
    present = [each for each in series if each.pattern in chunks]
    (block / "index").write_bytes(b"".join(_index(present, chunks)))
    spans = [(each[0].first, each[-1].last) for each in chunks.values()]
    meta = {
        "ulid": name,
        "minTime": min(first for first, _ in spans),
        "maxTime": max(last for _, last in spans) + 1,
        "stats": {
            "numSamples": sum(len(patterns[each.pattern].values) for each in present),
            "numSeries": len(present),
            "numChunks": sum(len(chunks[each.pattern]) for each in present),
        },
        "compaction": {"level": 1, "sources": [name]},
        "version": 1,
    }
    (block / "meta.json").write_text(json.dumps(meta))


def _write_chunks(path: Path, patterns: Mapping[str, Samples]) -> dict[str, list[_Chunk]]:
    found: dict[str, list[_Chunk]] = {}
    parts = [struct.pack(">IB3x", 0x85BD40DD, 1)]
    at = len(parts[0])
    for name, samples in patterns.items():
        found[name] = []
        for start in range(0, len(samples.values), CHUNK):
            values = samples.values[start : start + CHUNK]
            first = samples.first + start * samples.step
            data = _packed(first, samples.step, values)
            part = _uvarint(len(data)) + _XOR + data + _checksum(_XOR + data)
            found[name].append(_Chunk(first, first + (len(values) - 1) * samples.step, at))
            parts.append(part)
            at += len(part)
    path.write_bytes(b"".join(parts))
    return found


def _packed(first: int, step: int, values: Sequence[float]) -> bytes:
    """Samples at equal distances: after the second one, a moment takes one bit."""
    (before,) = _WORD.unpack(_DOUBLE.pack(values[0]))
    head = struct.pack(">H", len(values)) + _varint(first)
    bits: int = before
    count = 64
    leading, trailing = -1, 0
    for place, value in enumerate(values[1:]):
        if place == 0:
            distance = _uvarint(step)
            bits, count = (bits << 8 * len(distance)) | int.from_bytes(distance), count + 8 * len(distance)
        else:
            bits, count = bits << 1, count + 1
        (word,) = _WORD.unpack(_DOUBLE.pack(value))
        changed, before = before ^ word, word
        if not changed:
            bits, count = bits << 1, count + 1
            continue
        before_it = min(31, 64 - changed.bit_length())
        after_it = (changed & -changed).bit_length() - 1
        if 0 <= leading <= before_it and after_it >= trailing:
            width = 64 - leading - trailing
            bits, count = (bits << 2 + width) | (0b10 << width) | (changed >> trailing), count + 2 + width
        else:
            leading, trailing = before_it, after_it
            width = 64 - leading - trailing
            mark = (0b11 << 11) | (leading << 6) | (width & 63)
            bits, count = (bits << 13 + width) | (mark << width) | (changed >> trailing), count + 13 + width
    filling = -count % 8
    return head + (bits << filling).to_bytes((count + filling) // 8)


def _index(series: Sequence[Series], chunks: Mapping[str, Sequence[_Chunk]]) -> Iterator[bytes]:
    """The index, part by part."""
    symbols = sorted({text for each in series for pair in each.labels for text in pair})
    numbers = {text: number for number, text in enumerate(symbols)}
    head = struct.pack(">IB", 0xBAAAD700, 2)
    yield head
    table = _framed(struct.pack(">I", len(symbols)) + b"".join(map(_text, symbols)))
    yield table
    at = len(head) + len(table)
    series_at = at
    places = {name: b"".join(_chunk_list(each)) for name, each in chunks.items()}
    postings: dict[tuple[str, str], list[int]] = {("", ""): []}
    for each in series:
        filling = -at % 16
        content = b"".join(
            [
                _uvarint(len(each.labels)),
                *(_uvarint(numbers[name]) + _uvarint(numbers[value]) for name, value in each.labels),
                places[each.pattern],
            ]
        )
        entry = _uvarint(len(content)) + content + _checksum(content)
        yield bytes(filling) + entry
        reference = (at + filling) // 16
        at += filling + len(entry)
        for pair in (("", ""), *each.labels):
            postings.setdefault(pair, []).append(reference)
    lists_at, offsets = at, []
    for pair in sorted(postings):
        filling = -at % 4
        references = postings[pair]
        entry = _framed(struct.pack(f">I{len(references)}I", len(references), *references))
        yield bytes(filling) + entry
        offsets.append(b"\x02" + _text(pair[0]) + _text(pair[1]) + _uvarint(at + filling))
        at += filling + len(entry)
    none = _framed(struct.pack(">I", 0))
    yield none
    yield _framed(struct.pack(">I", len(offsets)) + b"".join(offsets))
    contents = struct.pack(">6Q", len(head), series_at, lists_at, at, lists_at, at + len(none))
    yield contents + _checksum(contents)


def _chunk_list(chunks: Sequence[_Chunk]) -> Iterator[bytes]:
    yield _uvarint(len(chunks))
    first = chunks[0]
    yield _varint(first.first) + _uvarint(first.last - first.first) + _uvarint(first.reference)
    for before, each in pairwise(chunks):
        yield _uvarint(each.first - before.last) + _uvarint(each.last - each.first)
        yield _varint(each.reference - before.reference)


def _framed(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content + _checksum(content)


def _text(text: str) -> bytes:
    data = text.encode()
    return _uvarint(len(data)) + data


def _uvarint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint(value: int) -> bytes:
    return _uvarint(value << 1 if value >= 0 else (-value << 1) - 1)


def _table() -> tuple[int, ...]:
    entries = []
    for number in range(256):
        entry = number
        for _ in range(8):
            entry = (entry >> 1) ^ (_POLYNOMIAL if entry & 1 else 0)
        entries.append(entry)
    return tuple(entries)


_CRC: Final = _table()


def _checksum(data: bytes) -> bytes:
    crc, table = 0xFFFFFFFF, _CRC
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return struct.pack(">I", crc ^ 0xFFFFFFFF)


def sorted_series(series: Iterable[Series]) -> list[Series]:
    """In the order in which a block has them."""
    return sorted(series, key=lambda each: each.labels)
