"""What can go wrong with an answer of the simulated controller, on the wire or instead of it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, Literal

from exporter.demo.console import PAGE
from exporter.demo.sessions import Reply, error_reply, json_reply

# Answers that stand for the right one.
Instead = Literal["404", "502", "503", "html", "text", "redirect", "forbidden", "unauthorized", "no_site"]
# Ways to send the right one.
Wire = Literal["", "truncate", "drip", "drip_headers", "endless", "endless_headers", "endless_chunk", "endless_hints"]
# Ways to pack the right one.
Packed = Literal[
    "gzip", "silent_gzip", "nested_gzip", "twice_gzip", "cut_gzip", "tail_gzip", "false_gzip", "bad_gzip", "bomb", "br"
]

Fault = Wire | Instead | Packed

_HTML: Final = ("Content-Type", "text/html")
BOMB_SIZE: Final = 2**28  # bytes that the bomb has when it is unpacked


def instead(fault: Fault, redirect_to: str) -> Reply | None:
    """The whole answer of a fault that replaces the right one."""
    if fault == "redirect":
        return Reply(302, PAGE, (_HTML, ("Location", redirect_to)))
    return _INSTEAD.get(fault)


def packed(reply: Reply, fault: Fault) -> Reply:
    """The same answer, packed as a fault says; as it is for every other fault."""
    if fault not in _PACKED:
        return reply
    pack, header = _PACKED[fault]
    headers = (("Content-Encoding", header),) if header else ()
    return Reply(reply.status, pack(reply.body), (*reply.headers, *headers))


def head(fault: Fault) -> Iterator[bytes]:
    """What a fault sends without end in place of headers; nothing for any other fault."""
    match fault:
        case "endless_headers":
            yield b"HTTP/1.1 200 OK\r\n"
            while True:
                yield b"X-More: and more\r\n" * 1000
        case "endless_chunk":
            yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;"
            while True:
                yield b"x" * 65536
        case "endless_hints":
            while True:
                yield b"HTTP/1.1 100 Continue\r\n\r\n" * 1000


@cache
def _bomb() -> bytes:
    press = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    block = bytes(2**20)
    return b"".join([press.compress(block) for _ in range(BOMB_SIZE // len(block))]) + press.flush()


_INSTEAD: Final[dict[str, Reply]] = {
    **{str(status): Reply(status, PAGE, (_HTML,)) for status in (404, 502, 503)},
    "html": Reply(200, PAGE, (_HTML,)),
    "text": Reply(200, b"starting", (("Content-Type", "text/plain"),)),
    "forbidden": error_reply(403, "api.err.NoPermission"),
    "unauthorized": json_reply(401, {"error": {"code": 401, "message": "Unauthorized"}}),
    "no_site": error_reply(401, "api.err.NoSiteContext"),
}
_PACKED: Final[dict[str, tuple[Callable[[bytes], bytes], str]]] = {
    "gzip": (gzip.compress, "gzip"),
    "silent_gzip": (gzip.compress, ""),
    "nested_gzip": (lambda body: gzip.compress(gzip.compress(body)), "gzip, gzip"),
    "twice_gzip": (lambda body: gzip.compress(gzip.compress(body)), "gzip"),
    "cut_gzip": (lambda body: gzip.compress(body)[:-9], "gzip"),
    "tail_gzip": (lambda body: gzip.compress(body) + b"tail", "gzip"),
    "false_gzip": (lambda body: body, "gzip"),
    "bad_gzip": (lambda _: b"\x1f\x8b and no more", "gzip"),
    "bomb": (lambda _: _bomb(), "gzip"),
    "br": (lambda body: body, "br"),
}
