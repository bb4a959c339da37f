"""The AMQP properties and headers of every message, described for the AsyncAPI document.

`tests/unit/broker/test_asyncapi.py` holds them against the messages that are really made (`router.broker.messages`).
"""

from collections.abc import Mapping
from typing import Any, Final

from router.broker.messages import APP_ID, PERSISTENT, TYPES
from schemas.codec import JSON, MSGPACK
from schemas.json_schema import COMMANDS

Schema = dict[str, Any]

TRACE: Final[Schema] = {"type": "string", "description": "The trace that the command belongs to (W3C Trace Context)."}
VENUE: Final[Schema] = {"type": "string", "description": "The venue; empty if there is none to name."}
ACCOUNT: Final[Schema] = {"type": "string", "description": "The account at the venue; empty if there is none to name."}

_HEADERS: Final[Mapping[str, Mapping[str, Schema]]] = {
    "result": {
        "x-sender": {"type": "string", "description": "Who sent the command, as the broker has checked; else empty."},
        "x-venue": VENUE,
        "x-account": ACCOUNT,
        "x-outcome": {"type": "string", "description": "The result's `outcome`."},
        "traceparent": TRACE,
    },
    "order_event": {
        "x-venue": VENUE,
        "x-account": ACCOUNT,
        "x-status": {"type": "string", "description": "The order's `status`."},
        "traceparent": {**TRACE, "description": "In the copy for a command: the trace that it belongs to."},
    },
    "feed_status": {
        "x-venue": VENUE,
        "x-account": ACCOUNT,
        "x-status": {"type": "string", "description": "The feed's `status`."},
    },
    "alert": {
        "x-venue": VENUE,
        "x-account": ACCOUNT,
        "x-status": {"enum": ["raised", "resolved"], "description": "Whether it begins or goes on, or is over."},
        "x-severity": {"type": "string", "description": "The alert's `severity`."},
    },
    "dead_letter": {
        "x-dead-reason": {"type": "string", "description": "Why it is here, as a word for programs."},
        "x-dead-detail": {"type": "string", "description": "Why it is here, in a sentence."},
    },
    "mark": {},
}
_CODEC: Final[Schema] = {"enum": [JSON, MSGPACK], "default": JSON}
_MESSAGE_ID: Final[Schema] = {"type": "string", "description": "New each time that it is published."}
_DELIVERY_MODE: Final[Schema] = {"const": PERSISTENT, "description": "Persistent."}
_OF_A_COMMAND: Final[Mapping[str, Schema]] = {
    "content_type": {**_CODEC, "description": "How the body is encoded; results come in the same encoding."},
    "reply_to": {"type": "string", "description": "The queue for results. Without one they go to the results queue."},
    "correlation_id": {"type": "string", "description": "Comes back with each result; else the `command_id` does."},
    "user_id": {"type": "string", "description": "Who you are to the broker, which checks it: the sender."},
    "message_id": {"type": "string", "description": "Yours; it names a result that is given without the journal."},
    "timestamp": {"type": "integer", "description": "When you published it, in seconds since 1970."},
    "delivery_mode": {**_DELIVERY_MODE, "description": "Persistent, or a broker that restarts loses it."},
}
_OF_OURS: Final[Mapping[str, Schema]] = {
    "content_type": {"const": JSON, "description": "How the body is encoded."},
    "message_id": _MESSAGE_ID,
    "timestamp": {"type": "integer", "description": "When it was published, in seconds since 1970."},
    "delivery_mode": _DELIVERY_MODE,
    "app_id": {"const": APP_ID, "description": "The program that published it."},
}
_OF_A_COMMAND_TOLD: Final[Mapping[str, Schema]] = {
    "content_type": {**_CODEC, "description": "How the body is encoded: as the command was."},
    "correlation_id": {"type": "string", "description": "The command's, else its `command_id`."},
}
_OF_POISON: Final[Mapping[str, Schema]] = {
    "content_type": {"type": "string", "description": "As it came."},
    "correlation_id": {"type": "string", "description": "As it came."},
    "reply_to": {"type": "string", "description": "As it came."},
}
_OF_A_MARK: Final[Mapping[str, Schema]] = {"message_id": _MESSAGE_ID, "delivery_mode": _DELIVERY_MODE}


def headers(message: str) -> Schema:
    """Return the schema of a message's headers."""
    if message in COMMANDS:
        return {"type": "object", "properties": {"traceparent": TRACE}}
    closed = message != "dead_letter"
    found: Schema = {"type": "object", "properties": dict(_HEADERS[message])}
    return {**found, "additionalProperties": False} if closed else found


def properties(message: str) -> Schema:
    """Return the schema of a message's AMQP properties, its headers left out."""
    if message in COMMANDS:
        found = _OF_A_COMMAND
    elif message == "mark":
        found = _OF_A_MARK
    else:
        kind = {"type": {"const": TYPES[message], "description": "What it is."}} if message in TYPES else {}
        told = _OF_A_COMMAND_TOLD if message in {"result", "order_event"} else {}
        found = {**_OF_OURS, **kind, **told, **(_OF_POISON if message == "dead_letter" else {})}
    return {"type": "object", "properties": dict(found), "additionalProperties": False}
