"""A peer that asks a thousand times a second, in a process of its own: `python -m tests.flood PORT SECONDS HEAD KIND`.

HEAD is the request, with \\r\\n written out. KIND: `kept` sends over 32 connections, `new` over a new one each time.
It comes from 127.0.0.2, reads every answer, and prints how many there were.
"""

from __future__ import annotations

import asyncio
import sys
import time

RATE = 1500
"""Requests a second that are tried; about a thousand come about."""


async def flood(port: int, seconds: float, head: bytes, kind: str) -> int:
    """How many requests were sent and answered, or cut."""
    answered = 0
    due = time.monotonic()
    end = due + seconds

    async def ask() -> None:
        nonlocal answered, due
        while time.monotonic() < end:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
            except OSError:
                continue
            try:
                while time.monotonic() < end:
                    due += 1 / RATE
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                    writer.write(head)
                    await drain(reader)
                    answered += 1
                    if kind == "new":
                        break
            except (OSError, asyncio.IncompleteReadError):
                answered += 1
            finally:
                writer.transport.abort()

    await asyncio.gather(*(ask() for _ in range(32)))
    return answered


async def drain(reader: asyncio.StreamReader) -> None:
    """Read one answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    if b"content-length" in fields:
        await reader.readexactly(int(fields[b"content-length"]))
        return
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
    await reader.readline()


if __name__ == "__main__":
    port, seconds, head, kind = sys.argv[1:]
    print(asyncio.run(flood(int(port), float(seconds), head.encode().decode("unicode_escape").encode(), kind)))
