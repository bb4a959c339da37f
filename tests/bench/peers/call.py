"""What the peers do alike: a command to a signed request, the venue's answer to a result. Needs only msgspec."""

import hashlib
import hmac
import time
from argparse import ArgumentParser

import msgspec

from schemas.commands import Close, Command

SECRET = b"secret"
LANES = ("cancel", "close")


class Answer(msgspec.Struct):
    """What the venue said."""

    status: int
    data: str = ""


class Result(msgspec.Struct, tag_field="type", tag="result"):
    """What the sender hears."""

    command_id: str
    venue: str
    account: str
    outcome: str
    order_id: str
    final: bool = True


encode = msgspec.json.Encoder().encode
_decode_answer = msgspec.json.Decoder(Answer).decode


def request_of(command: Command) -> tuple[str, bytes, dict[str, str]]:
    """Return path, body and signed headers of the request."""
    path, body = _body_of(command)
    stamp = str(time.time_ns() // 1_000_000)
    signature = hmac.new(SECRET, stamp.encode() + b"POST" + path.encode() + body, hashlib.sha256).hexdigest()
    signed = {"API-KEY": "key", "API-TIMESTAMP": stamp, "API-SIGN": signature, "Content-Type": "application/json"}
    return path, body, signed


def result_of(command: Command, answer: bytes) -> bytes:
    """Return the result, as JSON, that the venue's answer makes."""
    said = _decode_answer(answer)
    return encode(Result(command.command_id, command.venue, command.account, "accepted", said.data))


def _body_of(command: Command) -> tuple[str, bytes]:
    if isinstance(command, Close):
        position = {"positionId": int(command.position_id or 0), "size": command.size}
        fields = {"symbol": command.symbol, "side": (command.side or "").upper(), "executionType": "MARKET"}
        return "/v1/closeOrder", encode(fields | {"settlePosition": [position]})
    return "/v1/cancelOrder", encode({"orderId": int(getattr(command, "order_id", 0))})


def arguments(description: str | None) -> ArgumentParser:
    """Return the parser of the options that every peer takes."""
    parser = ArgumentParser(description=description)
    for name in ("broker", "venue", "prefix"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--prefetch", type=int, default=64)
    return parser
