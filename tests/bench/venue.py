"""A venue that answers at once and checks nothing, for measuring what stands before it.

    python -m tests.bench.venue [--latency-ms 0]

It speaks just enough HTTP/1.1 for keep-alive requests with a body, and answers the closes and cancels of GMO Coin as
that venue does. Prints its base URL on one line. `GET /arrivals` returns `[[number, monotonic seconds], …]` for the
orders and positions named since it was last asked; the clock is the machine's, so another process may subtract.
"""

import argparse
import asyncio
import gc
import json
import re
import time
from typing import Any

import uvloop

NAMED = re.compile(rb'"(?:orderId|positionId)":\s*"?(\d+)')
LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
HEAD_END = b"\r\n\r\n"

arrivals: list[tuple[int, float]] = []


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Connection(asyncio.Protocol):
    """One keep-alive connection. Requests on it come one after another, as HTTP clients send them."""

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._unread = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        now = time.monotonic()
        self._unread += data
        while (end := self._unread.find(HEAD_END)) >= 0:
            head, start = self._unread[:end], end + len(HEAD_END)
            length = int(found[1]) if (found := LENGTH.search(head)) else 0
            if len(self._unread) < start + length:
                return
            body, self._unread = self._unread[start : start + length], self._unread[start + length :]
            self._serve(head, body, now)

    def _serve(self, head: bytes, body: bytes, now: float) -> None:
        if head.startswith(b"GET /arrivals"):
            self._transport.write(_answer(json.dumps(arrivals).encode()))
            return arrivals.clear()
        if head.startswith(b"GET"):
            return self._transport.write(_answer(b'{"status":0,"data":{}}'))  # type: ignore[no-any-return]  # a read
        found = NAMED.search(body)
        number = int(found[1]) if found else 0
        arrivals.append((number, now))
        # A close is answered with the new order's id, a cancel only with "taken".
        data = b',"data":"%d"' % (10_000_000 + number) if b"positionId" in body else b""
        answer = _answer(b'{"status":0%b,"responsetime":"2019-03-19T01:07:24.217Z"}' % data)
        if self._latency_s:
            asyncio.get_running_loop().call_later(self._latency_s, self._transport.write, answer)
        else:
            self._transport.write(answer)
        return None


async def serve(latency_s: float) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(latency_s), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    gc.disable()  # its pauses would be taken for a contestant's
    uvloop.run(serve(parser.parse_args().latency_ms / 1000))


if __name__ == "__main__":
    main()
