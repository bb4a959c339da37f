"""Answers that are broken on the wire, written past the HTTP server straight to the socket."""

import asyncio
import gzip
import socket
import struct
from functools import cache
from typing import Final

from aiohttp import web

from router.simulator.call import HTML, JSON, Answer
from router.simulator.faults import Malformed, What

BOMB_BYTES: Final = 64 * 1024 * 1024
"""What the gzip bomb unpacks to; some 64 KiB on the wire."""
DEPTH: Final = 100_000
FLUSH_TURNS: Final = 16

_LINGER_NONE = struct.pack("ii", 1, 0)


def reset(http: web.Request) -> None:
    """End the connection with RST instead of FIN, whatever was not read or sent yet."""
    transport = http.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    transport.abort()


def close(http: web.Request) -> None:
    """End the connection in order, without an answer."""
    if http.transport is not None:
        http.transport.close()


async def damage(http: web.Request, what: What, answer: Answer) -> None:
    """Do to the connection what a fault says; nothing when the fault is in the answer itself."""
    match what:
        case "drop" | "hang":
            reset(http)
        case "close":
            close(http)
        case "truncate":
            await truncate(http, answer)
        case "reset_after_headers":
            await head_then_reset(http, answer)
        case _:
            pass


async def truncate(http: web.Request, answer: Answer) -> None:
    """Promise more than the body, send half of it, close in order."""
    await _write(http, _head(answer, len(answer.body) + 1024) + answer.body[: len(answer.body) // 2])
    close(http)


async def head_then_reset(http: web.Request, answer: Answer) -> None:
    """Send the head of an answer, then reset."""
    await _write(http, _head(answer, len(answer.body)))
    reset(http)


def malformed(answer: Answer, how: Malformed) -> Answer:
    """Return `answer` with status 200, broken in one way."""
    match how:
        case "html":
            return Answer(200, b"<!DOCTYPE html><html><body>Please wait...</body></html>", HTML)
        case "truncated":
            return Answer(200, answer.body[:-1] or b"{", JSON)
        case "content_type":
            return Answer(200, answer.body, {"Content-Type": "text/html"})
        case "empty":
            return Answer(200, b"", JSON)
        case "gzip_bomb":
            return Answer(200, _bomb(), {**JSON, "Content-Encoding": "gzip"})
        case "not_utf8":
            return Answer(200, b'{"status":0,"data":"\xff\xfe\x80"}', JSON)
        case "deep":
            return Answer(200, b"[" * DEPTH + b"]" * DEPTH, JSON)


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * BOMB_BYTES, 9)


def _head(answer: Answer, length: int) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} OK", *(f"{name}: {value}" for name, value in answer.headers.items())]
    return ("\r\n".join([*lines, f"Content-Length: {length}", "", ""])).encode()


async def _write(http: web.Request, data: bytes) -> None:
    """Hand the data to the kernel; uvloop would drop what is still in its own buffer when the connection ends."""
    transport = http.transport
    if transport is None:
        return
    transport.write(data)
    for _ in range(FLUSH_TURNS):
        await asyncio.sleep(0)
        if not transport.get_write_buffer_size():
            break
