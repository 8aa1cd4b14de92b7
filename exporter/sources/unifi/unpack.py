"""An answer's body, unpacked where it is packed, and never more of it than a cap."""

from __future__ import annotations

import zlib

_MAGIC = b"\x1f\x8b"  # what everything packed with gzip begins with (RFC 1952)
_GZIP = frozenset({"gzip", "x-gzip"})
_PLAIN = frozenset({"", "identity"})


class TooLargeError(Exception):
    """The body is longer than the cap."""


class UnreadableError(Exception):
    """The body cannot be unpacked. The message says why, in words to go on with after a url."""


class Body:
    """Gathers the parts of a body as they come over the wire: `add` each, then `whole`.

    No packing is ever asked for. What comes packed all the same is unpacked once, by what it is and not by what its
    header says: some answers are gzip without a word (UniFi reference, section 2). The cap is on what comes out.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        """encoding: the header Content-Encoding. limit: bytes. Raises UnreadableError for an unknown encoding."""
        self._encoding = encoding.strip().lower()
        if self._encoding not in _GZIP | _PLAIN:
            raise UnreadableError("the answer is packed in a way that was not asked for")
        self._limit = limit
        self._size = 0
        self._parts: list[bytes] = []
        self._head = b""
        self._inflate: zlib._Decompress | None = None
        self._begun = False

    def add(self, part: bytes) -> None:
        """Take the next part. Raises TooLargeError or UnreadableError."""
        if not self._begun:
            self._head += part
            if len(self._head) < len(_MAGIC):
                return
            part = self._begin()
        self._keep(part if self._inflate is None else self._unpacked(part))

    def whole(self) -> bytes:
        """The body. Raises TooLargeError or UnreadableError."""
        if not self._begun:
            self._keep(self._begin())
        if self._inflate is not None and not self._inflate.eof:
            raise UnreadableError("the packed answer was cut off")
        body = b"".join(self._parts)
        if self._inflate is not None and body.startswith(_MAGIC):
            raise UnreadableError("the answer is packed more than once")
        return body

    def _begin(self) -> bytes:
        self._begun = True
        if self._head.startswith(_MAGIC):
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
        elif self._encoding in _GZIP and self._head:
            raise UnreadableError("the answer is said to be gzip, and is not")
        return self._head

    def _unpacked(self, part: bytes) -> bytes:
        inflate = self._inflate
        if inflate is None or not part:
            return part
        try:
            unpacked = inflate.decompress(part, self._limit - self._size + 1)
        except zlib.error:
            raise UnreadableError("the packed answer is damaged") from None
        if inflate.unused_data:
            raise UnreadableError("something follows the packed answer")
        return unpacked

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            raise TooLargeError
        self._parts.append(part)
