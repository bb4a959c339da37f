"""The AsyncAPI document: every exchange, queue, routing key, message and property, for programs that read such.

Exchanges and queues are those that are declared (`router.broker.topology`), messages those of the JSON Schema
(`schemas.json_schema`), the ways between them those of `router.broker.routes`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import schemas as wire
from router.broker.messages import TYPES
from router.broker.properties import headers, properties
from router.broker.routes import Route, routes, straight
from router.broker.topology import Binding, Declaration, Names, consumed, wanted
from schemas.codec import JSON

FILE: Final = Path(wire.__file__).with_name("asyncapi.json")
BINDING: Final = "0.3.0"
ANY_BODY: Final[Mapping[str, str]] = {
    "dead_letter": "What could not be handled, unchanged: a command, or anything else.",
    "mark": "A mark of the journal. The router's own: nobody else reads or writes it.",
}
"""Messages without a schema."""


Document = dict[str, Any]


def document(
    names: Names, lanes: Sequence[tuple[str, str]], schemas: Mapping[str, Mapping[str, Any]], version: str
) -> Document:
    """Return the document for all these lanes. `schemas`: message → JSON Schema."""
    topology = wanted(names, lanes)
    channels = {**_exchanges(names, topology, schemas), **_queues(names, topology), "reply": _reply(names)}
    kinds = (*schemas, *ANY_BODY)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "order-router",
            "version": version,
            "description": "Closes positions and cancels orders at crypto exchanges, commanded over RabbitMQ."
            " Operations are the router's: what it receives, you send. README.md beside this file tells it in words.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": JSON,
        "servers": {
            "broker": {
                "host": "{host}",
                "protocol": "amqp",
                "protocolVersion": "0.9.1",
                "description": "RabbitMQ 3.10 or later; `amqps` as well.",
                "variables": {"host": {"default": "127.0.0.1:5672", "description": "Host and port (`broker.url`)."}},
            }
        },
        "channels": channels,
        "operations": _operations(names, lanes),
        "components": {
            "messages": {kind: _message(kind, schemas) for kind in kinds},
            "schemas": _parts(schemas),
        },
    }


def _exchanges(
    names: Names, topology: Sequence[Declaration | Binding], schemas: Mapping[str, Mapping[str, Any]]
) -> Document:
    known, found = routes(names), {}
    for one in topology:
        if not isinstance(one, Declaration) or one.kind == "queue":
            continue
        bindings = {"is": "routingKey", "exchange": {**_durable(one), "type": one.kind}, "bindingVersion": BINDING}
        channel = {"description": _described(names, one.name), **_arguments(one), "bindings": {"amqp": bindings}}
        for end, route in known.get(one.name, {}).items():
            found[_exchange_id(one.name, end)] = {
                "address": route.key,
                **channel,
                "parameters": _parameters(route, schemas),
                "messages": _messages(route.messages),
            }
        if one.name not in known:  # the one that has no keys of its own: what comes there was published elsewhere
            messages = _messages(_came_from(one.name, topology, known))
            found[_exchange_id(one.name)] = {"address": None, **channel, "messages": messages}
    return found


def _queues(names: Names, topology: Sequence[Declaration | Binding]) -> Document:
    known, found = routes(names), {}
    bindings = [one for one in topology if isinstance(one, Binding)]
    for one in topology:
        if not isinstance(one, Declaration) or one.kind != "queue":
            continue
        bound = [binding for binding in bindings if binding.queue == one.name]
        kinds = {kind: None for binding in bound for kind in _bound(binding, topology, known)}
        queue = {**_durable(one), "exclusive": False}
        found[_queue_id(one.name)] = {
            "address": one.name,
            "description": _described(names, one.name),
            **_arguments(one),
            "x-bindings": [{"exchange": binding.exchange, "key": binding.key} for binding in bound],
            "messages": _messages(tuple(kinds) if bound else straight(names)[one.name]),
            "bindings": {"amqp": {"is": "queue", "queue": queue, "bindingVersion": BINDING}},
        }
    return found


def _bound(
    binding: Binding, topology: Sequence[Declaration | Binding], known: Mapping[str, Mapping[str, Route]]
) -> tuple[str, ...]:
    """Return which messages a binding leads to its queue: all of the exchange, or the command that its key names."""
    kinds = _came_from(binding.exchange, topology, known)
    last = binding.key.rpartition(".")[2]
    return (last,) if last in kinds else kinds


def _came_from(
    exchange: str, topology: Sequence[Declaration | Binding], known: Mapping[str, Mapping[str, Route]]
) -> tuple[str, ...]:
    """Return the messages of an exchange; of an alternate exchange, those of the one that it stands behind."""
    if exchange in known:
        return tuple(kind for route in known[exchange].values() for kind in route.messages)
    return tuple(
        kind
        for one in topology
        if isinstance(one, Declaration) and one.arguments.get("alternate-exchange") == exchange
        for kind in _came_from(one.name, topology, known)
    )


def _reply(names: Names) -> Document:
    queue = {"durable": False, "exclusive": True, "autoDelete": True}
    return {
        "address": None,
        "description": "Your queue, which the command's `reply_to` names, on the default exchange. These settings"
        f" are only an example. A name that begins with `{names.prefix}.` or `amq.` is not published to, unless the"
        " broker has made it.",
        "messages": _messages(("result", "order_event")),
        "bindings": {"amqp": {"is": "queue", "queue": queue, "bindingVersion": BINDING}},
    }


def _operations(names: Names, lanes: Sequence[tuple[str, str]]) -> Document:
    found: Document = {}
    for exchange, ways in routes(names).items():
        for end, route in ways.items():
            channel = _exchange_id(exchange, end)
            receives = exchange == names.commands
            found[f"{'receive' if receives else 'send'}.{channel}"] = {
                "action": "receive" if receives else "send",
                "channel": {"$ref": f"#/channels/{channel}"},
                "summary": route.does,
                **({"reply": _reply_of("result")} if receives else {"bindings": _sending(exchange != names.events)}),
            }
    for queue in consumed(names, lanes):
        found[f"receive.{_queue_id(queue)}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{_queue_id(queue)}"},
            "summary": _described(names, queue),
            "reply": _reply_of("result"),
            "bindings": {"amqp": {"ack": True, "bindingVersion": BINDING}},
        }
    found["send.reply"] = {
        "action": "send",
        "channel": {"$ref": "#/channels/reply"},
        "summary": "Publishes each result of a command to its reply queue, and the events of the order that it placed.",
        "bindings": _sending(mandatory=True),
    }
    return found


def _sending(mandatory: bool) -> Document:
    """Say how the router publishes. `mandatory`: what nobody's queue takes comes back."""
    return {"amqp": {"deliveryMode": 2, "mandatory": mandatory, "timestamp": True, "bindingVersion": BINDING}}


def _reply_of(kind: str) -> Document:
    return {
        "address": {"location": "$message.header#/reply_to", "description": "The AMQP property `reply_to`."},
        "channel": {"$ref": "#/channels/reply"},
        "messages": [{"$ref": f"#/channels/reply/messages/{kind}"}],
    }


def _message(kind: str, schemas: Mapping[str, Mapping[str, Any]]) -> Document:
    correlated = "correlation_id" in properties(kind)["properties"]
    about = {"summary": ANY_BODY[kind]} if kind in ANY_BODY else {"summary": schemas[kind]["description"]}
    location = {"location": "$message.header#/correlation_id", "description": "The AMQP property `correlation_id`."}
    return {
        "name": kind,
        **about,
        "headers": headers(kind),
        "payload": {} if kind in ANY_BODY else {"$ref": f"#/components/schemas/{kind}"},
        **({"correlationId": location} if correlated else {}),
        "x-properties": properties(kind),
        **({"bindings": {"amqp": {"messageType": TYPES[kind], "bindingVersion": BINDING}}} if kind in TYPES else {}),
    }


def _messages(kinds: Sequence[str]) -> Document:
    return {kind: {"$ref": f"#/components/messages/{kind}"} for kind in kinds}


def _parameters(route: Route, schemas: Mapping[str, Mapping[str, Any]]) -> Document:
    """Describe the words of a key by the fields of the first message that goes there."""
    kind = route.messages[0]
    if kind in ANY_BODY:
        return {"key": {"description": "The routing key that it came with; `_` if it had none."}}
    found = {}
    for word in route.key.split("."):
        if word.startswith("{"):
            field = schemas[kind]["properties"][word[1:-1]]
            values = route.messages if word == "{type}" else field.get("enum", ())
            found[word[1:-1]] = {"description": field["description"], **({"enum": list(values)} if values else {})}
    return found


def _parts(schemas: Mapping[str, Mapping[str, Any]]) -> Document:
    """Return every schema and what they are made of under one roof, where AsyncAPI looks for them."""
    found: Document = {}
    for kind, schema in schemas.items():
        parts = schema.get("$defs", {})
        own = {key: value for key, value in schema.items() if key not in {"$schema", "$defs"}}
        found |= {name: _moved(part) for name, part in {kind: own, **parts}.items()}
    return found


def _moved(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _moved(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_moved(value) for value in part]
    return part.replace("#/$defs/", "#/components/schemas/") if isinstance(part, str) else part


def _durable(one: Declaration) -> Document:
    return {"name": one.name, "durable": True, "autoDelete": False}


def _arguments(one: Declaration) -> Document:
    return {"x-arguments": dict(one.arguments)} if one.arguments else {}


def _described(names: Names, name: str) -> str:
    """Return what the topology says of an exchange or a queue."""
    for attribute, made in vars(Names).items():
        if isinstance(made, property) and getattr(names, attribute) == name:
            return str(made.__doc__)
    return str(Names.lane.__doc__)


def _exchange_id(name: str, end: str = "") -> str:
    return f"exchange.{name}{end}"


def _queue_id(name: str) -> str:
    return f"queue.{name}"
