"""What RabbitMQ has to hold before a worker with `broker.declare = false` starts: objects, users, permissions.

No password stands in it. Everyone shows a client certificate, and its common name is the user (rabbitmq.conf).

Nobody may configure anything: who could declare an exchange could bind it to the commands, publish there, and so go
around the routing keys that the permissions are written on. For the same reason an upstream may read no exchange: its
queues are here, and bound. A name in a permission holds for an exchange and for a queue alike.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

import msgspec
from pamqp.common import FieldTable

from router import venues
from router.broker.topology import Binding, Declaration, Names, wanted
from router.config import SenderPolicy

VHOST: Final = "order-router"
WORKER: Final = "order-router"
OPERATOR: Final = "order-router-operator"
KEDA: Final = "order-router-keda"
NOTHING: Final = "^$"

ANSWERS: Final[FieldTable] = {
    "x-queue-type": "quorum",
    "x-max-length-bytes": 256_000_000,
    "x-overflow": "reject-publish",
}
"""A queue that nobody reads takes no more: its answers wait in the journal, then go to the results queue."""
EVENTS: Final[FieldTable] = {"x-queue-type": "quorum", "x-max-length-bytes": 256_000_000, "x-overflow": "drop-head"}
"""The latest ones; `seq` tells the reader what it lacks."""


def answers_of(upstream: str) -> str:
    """Return the queue that an upstream names as `reply_to`."""
    return f"{upstream}.results"


def events_of(upstream: str) -> str:
    """Return the queue of an upstream that holds the events of its accounts."""
    return f"{upstream}.events"


def read_config(path: Path) -> tuple[str, dict[str, SenderPolicy]]:
    """Return prefix and senders of a router's configuration file; no secret in it is looked at.

    Raises `ValueError` for what is not TOML or no sender.
    """
    document = tomllib.loads(path.read_text())
    senders = msgspec.convert(document.get("senders", {}), dict[str, SenderPolicy])
    return document.get("broker", {}).get("prefix", "orders"), senders


def definitions(prefix: str, senders: dict[str, SenderPolicy]) -> dict[str, Any]:
    """Return the definitions, as `load_definitions` and `rabbitmqctl import_definitions` take them.

    Raises `ValueError` for a sender that has the name or the queues of somebody else.
    """
    names = Names(prefix)
    for sender in senders:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", sender) or sender in {WORKER, OPERATOR, KEDA, prefix, "amq"}:
            raise ValueError(f"senders.{sender}: cannot be a user of the broker's: letters, digits, - and _, not ours")
    lanes = [(venue, lane) for venue in venues.names() for lane in ("cancel", "close")]
    topology = wanted(names, lanes)
    declared = [one for one in topology if isinstance(one, Declaration)]
    bound = [_binding(one.exchange, one.queue, one.key) for one in topology if isinstance(one, Binding)]
    for sender, policy in senders.items():
        declared += [
            Declaration("queue", answers_of(sender), ANSWERS),
            Declaration("queue", events_of(sender), EVENTS),
        ]
        bound += [_binding(names.events, events_of(sender), f"{it.replace('/', '.')}.#") for it in policy.accounts]
    users = [(WORKER, []), (OPERATOR, ["monitoring"]), (KEDA, ["management"]), *((sender, []) for sender in senders)]
    return {
        "vhosts": [{"name": VHOST, "default_queue_type": "quorum"}],
        "users": [_user(name, tags) for name, tags in users],
        "permissions": [_permission(name, *may) for name, may in permissions(names, senders).items()],
        "topic_permissions": [_topic_permission(names, sender, policy) for sender, policy in senders.items()],
        "exchanges": [_exchange(one) for one in declared if one.kind != "queue"],
        "queues": [_queue(one) for one in declared if one.kind == "queue"],
        "bindings": bound,
    }


def permissions(names: Names, senders: dict[str, SenderPolicy]) -> dict[str, tuple[str, str]]:
    """Return what each user may write to and read, as regular expressions."""
    written = ("amq.default", names.results, names.dead, names.events, names.alerts)
    consumed = (names.journal, names.unrouted_queue)
    lanes = rf"{re.escape(names.commands)}\.[a-z0-9_]+\.(cancel|close)"
    return {
        WORKER: (_one_of(*map(re.escape, written)), _one_of(*map(re.escape, consumed), lanes)),
        OPERATOR: (NOTHING, _one_of(*map(re.escape, (names.results, names.dead, names.alerts)))),
        KEDA: (NOTHING, NOTHING),
        **{
            sender: (
                _one_of(re.escape(names.commands)),
                _one_of(*map(re.escape, (answers_of(sender), events_of(sender)))),
            )
            for sender in senders
        },
    }


def routing_keys(policy: SenderPolicy) -> str:
    """Return the routing keys that a sender may publish commands under, as a regular expression."""
    accounts = "|".join(re.escape(account.replace("/", ".")) for account in policy.accounts)
    return rf"^({accounts})\.({'|'.join(policy.commands)})$"


def _one_of(*patterns: str) -> str:
    return f"^({'|'.join(patterns)})$"


def _user(name: str, tags: list[str]) -> dict[str, Any]:
    # Without a hash no password is right.
    return {"name": name, "password_hash": "", "tags": tags}


def _permission(user: str, write: str, read: str) -> dict[str, str]:
    return {"user": user, "vhost": VHOST, "configure": NOTHING, "write": write, "read": read}


def _topic_permission(names: Names, sender: str, policy: SenderPolicy) -> dict[str, str]:
    keys = routing_keys(policy)
    return {"user": sender, "vhost": VHOST, "exchange": names.commands, "write": keys, "read": NOTHING}


def _exchange(one: Declaration) -> dict[str, Any]:
    return {
        "name": one.name,
        "vhost": VHOST,
        "type": one.kind,
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": dict(one.arguments),
    }


def _queue(one: Declaration) -> dict[str, Any]:
    return {"name": one.name, "vhost": VHOST, "durable": True, "auto_delete": False, "arguments": dict(one.arguments)}


def _binding(exchange: str, queue: str, key: str) -> dict[str, Any]:
    return {
        "source": exchange,
        "vhost": VHOST,
        "destination": queue,
        "destination_type": "queue",
        "routing_key": key,
        "arguments": {},
    }
