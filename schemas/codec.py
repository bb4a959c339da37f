"""Bytes to commands and results to bytes, in JSON and MessagePack.

Decoders are built once and reused. A body that cannot be decoded raises `Undecodable`, which carries whatever
echo fields could still be read, so that even poison gets an answer (contract, section 2).
"""

import datetime
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from schemas.alerts import Alert
from schemas.commands import Command
from schemas.events import FeedStatus, OrderEvent
from schemas.fields import Account, Action, CommandId, Venue
from schemas.nesting import MAX_DEPTH, json_is_deep, msgpack_is_deep
from schemas.results import Result
from schemas.wording import malformed, mistakes_in

JSON: Final = "application/json"
MSGPACK: Final = "application/msgpack"
MAX_BODY_BYTES: Final = 64 * 1024
PLAIN_ENCODINGS: Final = frozenset({"identity", "utf-8", "utf8"})

_json_command: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_msgpack_command: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_json_result: msgspec.json.Decoder[Result] = msgspec.json.Decoder(Result)
_msgpack_result: msgspec.msgpack.Decoder[Result] = msgspec.msgpack.Decoder(Result)
_json_event: msgspec.json.Decoder[OrderEvent | FeedStatus] = msgspec.json.Decoder(OrderEvent | FeedStatus)
_msgpack_event: msgspec.msgpack.Decoder[OrderEvent | FeedStatus] = msgspec.msgpack.Decoder(OrderEvent | FeedStatus)
_json_encoder = msgspec.json.Encoder()
_msgpack_encoder = msgspec.msgpack.Encoder()
_sorted_encoder = msgspec.msgpack.Encoder(order="sorted")
_KEY = re.compile(rb'"(\w+)"\s*:')
_NEVER: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Echo(msgspec.Struct, frozen=True, kw_only=True):
    """The echo fields of a result, each `None` where the body did not yield it."""

    command_id: str | None = None
    action: Action | None = None
    venue: str | None = None
    account: str | None = None


class Undecodable(ValueError):
    """Raised when a body is no command. Dead-letter it unchanged and answer with the message."""

    def __init__(self, message: str, echo: Echo) -> None:
        super().__init__(message)
        self.echo = echo


def media_type(content_type: str | None) -> str:
    """Return the bare media type; no content type means JSON."""
    return (content_type or JSON).partition(";")[0].strip().lower()


def decode_command(body: bytes, content_type: str | None, content_encoding: str | None = None) -> Command:
    """Decode a command strictly: nothing unknown, nothing twice, nothing compressed.

    Raises `Undecodable` for anything else, whatever the bytes.
    """
    kind = media_type(content_type)
    if (content_encoding or "identity").lower() not in PLAIN_ENCODINGS:
        raise Undecodable(f'content_encoding: expected none, got "{content_encoding}"', Echo())
    if len(body) > MAX_BODY_BYTES:
        raise Undecodable(f"the body: expected at most {MAX_BODY_BYTES} bytes, got {len(body)}", Echo())
    if (json_is_deep if kind == JSON else msgpack_is_deep)(body):
        raise Undecodable(f"the body: it is nested deeper than {MAX_DEPTH} levels", _echo(body, kind))
    try:
        if kind == JSON:
            command = _json_command.decode(body)
            _refuse_repeated_keys(body)
            return _plain(command)
        if kind == MSGPACK:
            command = _msgpack_command.decode(body)
            _refuse_repeated_pairs(body)
            return _plain(command)
    except (msgspec.DecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Undecodable(_why(body, kind, error), _echo(body, kind)) from error
    raise Undecodable(f'content_type: expected {JSON} or {MSGPACK}, got "{kind[:64]}"', _echo(body, JSON))


def _why(body: bytes, kind: str, error: Exception) -> str:
    """Say in a sender's words why a body is no command."""
    try:
        decoded = msgspec.msgpack.decode(body) if kind == MSGPACK else msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as cause:
        return malformed(cause, "MessagePack" if kind == MSGPACK else "JSON")
    return mistakes_in(decoded) or f"the body: {error}"


def digest(command: Command) -> str:
    """Return what two deliveries of the same command share, whatever codec carried them.

    The deadlines are left out: a sender that tries again later sends the same command (contract, section 1).
    """
    same = msgspec.structs.replace(command, not_after=_NEVER, issued_at=None)
    return hashlib.sha256(_sorted_encoder.encode(same)).hexdigest()


def encode_command(command: Command, content_type: str = JSON) -> bytes:
    """Encode a command as a sender would."""
    return _encode(command, content_type)


def encode_result(result: Result, content_type: str = JSON) -> bytes:
    """Encode a result in the command's own codec."""
    return _encode(result, content_type)


def decode_result(body: bytes, content_type: str | None = JSON) -> Result:
    """Decode a result as a sender would.

    Raises `msgspec.ValidationError` or `msgspec.DecodeError` when it is none.
    """
    decoder = _msgpack_result if media_type(content_type) == MSGPACK else _json_result
    return decoder.decode(body)


def encode_event(event: OrderEvent | FeedStatus, content_type: str = JSON) -> bytes:
    """Encode an order event or a feed's status."""
    return _encode(event, content_type)


def decode_event(body: bytes, content_type: str | None = JSON) -> OrderEvent | FeedStatus:
    """Decode an order event or a feed's status as a listener would.

    Raises `msgspec.ValidationError` or `msgspec.DecodeError` when it is neither.
    """
    decoder = _msgpack_event if media_type(content_type) == MSGPACK else _json_event
    return decoder.decode(body)


def encode_alert(alert: Alert) -> bytes:
    """Encode an alert, always as JSON."""
    return _json_encoder.encode(alert)


def _encode(message: Command | Result | OrderEvent | FeedStatus, content_type: str) -> bytes:
    if media_type(content_type) == MSGPACK:
        # Times are RFC 3339 text in this codec too, not an extension type that a client must know.
        return _msgpack_encoder.encode(msgspec.to_builtins(message))
    return _json_encoder.encode(message)


def _refuse_repeated_keys(body: bytes) -> None:
    """Refuse an object with a key given twice: of two values another reader may believe the other one."""
    keys = _KEY.findall(body)
    if len(keys) != len(set(keys)) or b"\\" in body:
        # A key may stand in a text or in `params` as well: only a parser that shows pairs can tell.
        json.loads(body, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice[:64]} is given twice")
    return found


def _refuse_repeated_pairs(value: bytes | memoryview) -> None:
    """Refuse a MessagePack map with a key given twice, at any depth."""
    first = value[0]
    if 0x80 <= first <= 0x8F or first in {0xDE, 0xDF}:
        found = msgspec.msgpack.decode(value, type=dict[str, msgspec.Raw])
        if len(found) != _map_length(bytes(value[:5])):
            raise ValueError("a field is given twice")
        for inner in found.values():
            _refuse_repeated_pairs(memoryview(inner))
    elif 0x90 <= first <= 0x9F or first in {0xDC, 0xDD}:
        for inner in msgspec.msgpack.decode(value, type=list[msgspec.Raw]):
            _refuse_repeated_pairs(memoryview(inner))


def _map_length(head: bytes) -> int:
    """Return how many pairs a MessagePack map announces (fixmap, map 16, map 32)."""
    if head[0] == 0xDE:
        return int.from_bytes(head[1:3], "big")
    return int.from_bytes(head[1:5], "big") if head[0] == 0xDF else head[0] & 0x0F


def _plain(command: Command) -> Command:
    """Refuse `params` that are not plain JSON: they could not be stored, compared or repeated as they came."""
    params = command.params
    if params:
        _sorted_encoder.encode(params)
        if msgspec.json.decode(_json_encoder.encode(params)) != params:
            raise ValueError("params: expected what JSON can say: no bytes, times or extensions")
    return command


def _echo(body: bytes, kind: str) -> Echo:
    """Read what can still be read of a broken command; each field on its own."""
    try:
        decoded = msgspec.msgpack.decode(body) if kind == MSGPACK else msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
        return Echo()
    if not isinstance(decoded, Mapping):
        return Echo()
    action = decoded.get("type")
    return Echo(
        command_id=_checked(decoded.get("command_id"), CommandId),
        action=action if action in get_args(Action) else None,
        venue=_checked(decoded.get("venue"), Venue),
        account=_checked(decoded.get("account"), Account),
    )


def _checked(value: object, kind: Any) -> str | None:
    try:
        return msgspec.convert(value, kind)  # type: ignore[no-any-return]  # kind is an Annotated str
    except msgspec.ValidationError:
        return None
