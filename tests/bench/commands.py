"""The commands of the benchmarks, and the bytes that publish them, made fast enough not to be what is measured."""

import datetime
import struct
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aio_pika import DeliveryMode, Message

from tests.bench.amqp import frames

VENUE: Final = "gmo_coin"
LANES: Final = ("cancel", "close")
TTL_S: Final = 240.0
"""Longer than any backlog lasts, and below what the router takes (`worker.max_horizon_s`)."""

Wrap = Callable[[int, bytes, str], Message]
"""Makes the message of a command from its number, its JSON and the reply queue."""

_encode = msgspec.json.Encoder().encode
# What differs between two commands has these values in a pattern, and is replaced.
_NUMBER: Final = "9182736455463"
_AT_S: Final = 0x3A3B3C3D
_STAMP: Final = struct.Struct(">Q")


def scatter(number: int) -> str:
    """Return eight hexadecimal digits of a number that lie far from those of the next number."""
    return f"{number * 2_654_435_761 % 2**32:08x}"


def lane(number: int) -> str:
    """An odd number is a close, an even one a cancel."""
    return LANES[number % 2]


def command_id(number: int) -> str:
    """Return an id that sorts nowhere near its neighbours', as senders' random ids do, and holds the number."""
    return f"{scatter(number)}-{number}"


def command(number: int, at_s: float, *, ttl_s: float = TTL_S, account: str = "main") -> dict[str, Any]:
    """Return the command of a number: an odd one closes that position, an even one cancels that order."""
    fields: dict[str, Any] = {"command_id": command_id(number), "venue": VENUE, "account": account}
    fields |= {"symbol": "BTC_JPY", "not_after": _text(at_s + ttl_s), "type": lane(number)}
    if number % 2:
        return fields | {"position_id": str(number), "side": "buy", "size": "0.01"}
    return fields | {"order_id": str(number)}


def message(number: int, body: bytes, reply_to: str) -> Message:
    """Return a command as a sender would publish it."""
    return Message(
        body,
        content_type="application/json",
        correlation_id=f"c-{number}",
        message_id=f"m-{number}",
        reply_to=reply_to,
        delivery_mode=DeliveryMode.PERSISTENT,
    )


class Patterns:
    """The bytes that publish commands to the queues under a prefix.

    A command's frames are made once for each kind; the next ones differ only in number and times, which are put in.
    """

    def __init__(self, prefix: str, reply_to: str, wrap: Wrap = message) -> None:
        self._exchange = f"{prefix}.commands"
        self._reply_to = reply_to
        self._wrap = wrap
        self._known: dict[tuple[str, int, str], bytes] = {}

    def publish(self, number: int, *, ttl_s: float = TTL_S, account: str = "main") -> bytes:
        """Return the frames that publish a command now."""
        key = (lane(number), len(str(number)), account)
        pattern = self._known.get(key)
        if pattern is None:
            pattern = self._known[key] = self._pattern(number, account)
        return _fill(pattern, number, time.time(), ttl_s)

    def _pattern(self, number: int, account: str) -> bytes:
        sample = int(_NUMBER[: len(str(number))]) // 2 * 2 + number % 2
        made = self._frames(sample, _AT_S, account).replace(b"%", b"%%")
        for found, instead in (
            (scatter(sample).encode(), b"%(scatter)b"),
            (str(sample).encode(), b"%(number)d"),
            (_text(_AT_S + TTL_S).encode(), b"%(deadline)b"),
            (_STAMP.pack(_AT_S), b"%(stamp)b"),
        ):
            made = made.replace(found, instead)
        assert _fill(made, number, 1e9, TTL_S) == self._frames(number, 1e9, account), "a pattern must fit every number"
        return made

    def _frames(self, number: int, at_s: float, account: str) -> bytes:
        fields = command(number, at_s, account=account)
        made = self._wrap(number, _encode(fields), self._reply_to)
        made.timestamp = datetime.datetime.fromtimestamp(at_s, datetime.UTC)
        return frames(made, self._exchange, f"{VENUE}.{account}.{fields['type']}")


def _fill(pattern: bytes, number: int, at_s: float, ttl_s: float) -> bytes:
    return pattern % {
        b"number": number,
        b"scatter": scatter(number).encode(),
        b"deadline": _text(at_s + ttl_s).encode(),
        b"stamp": _STAMP.pack(int(at_s)),
    }


def _text(at_s: float) -> str:
    """Return a time in RFC 3339, always of the same length."""
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).isoformat(timespec="microseconds")
