"""The AsyncAPI document, held against what is declared and what is published."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from router.broker.asyncapi import FILE, document
from router.broker.line import Content
from router.broker.publisher import Publisher
from router.broker.topology import Binding, Declaration, Names, wanted
from router.cli.schema import generate
from router.config.settings import LANES, BrokerSettings
from router.records.command import Reply
from router.records.event import Copy, StoredEvent
from schemas.alerts import Alert
from schemas.codec import JSON
from schemas.events import FeedStatus, OrderEvent
from schemas.results import Result
from tests.languages.cases import MESSAGES
from tests.unit.commands.test_intake import close, delivery

FOUND: Mapping[str, Any] = json.loads(FILE.read_text())
SENT: Mapping[str, Any] = json.loads(MESSAGES.read_text())
NAMES = Names(BrokerSettings().prefix)
REPLY = Reply(reply_to="alpha.results", correlation_id="c", content_type=JSON, traceparent="00-aa-bb-01")


class Listening(Publisher):
    """A publisher that keeps what it would have published: exchange, routing key, message."""

    def __init__(self) -> None:
        super().__init__(BrokerSettings())
        self.heard: list[tuple[str, str, Content]] = []

    async def _limited(self, exchange: str, key: str, message: Content, *, mandatory: bool = True) -> None:
        self.heard.append((exchange, key, message))

    async def _send(self, lane: str, key: str, message: Content, *, mandatory: bool) -> None:
        self.heard.append(("", key, message))


def channels(exchange: str, key: str) -> list[Mapping[str, Any]]:
    """Return the channels of an exchange that a routing key fits."""
    if exchange == "":
        return [FOUND["channels"]["reply"]]
    return [
        channel
        for channel in FOUND["channels"].values()
        if channel["bindings"]["amqp"].get("exchange", {}).get("name") == exchange and fits(key, channel["address"])
    ]


def fits(key: str, address: str) -> bool:
    """Say whether a routing key is made as an address says. A parameter is one word, but for `{key}`, a whole key."""
    words = ["[^.#*]+" if word.startswith("{") else re.escape(word) for word in address.split(".")]
    return address == "{key}" or re.fullmatch(r"\.".join(words), key) is not None


def check(kind: str, exchange: str, key: str, message: Content) -> None:
    """Hold a message against its one channel and all that the document says of it."""
    fitting = [channel for channel in channels(exchange, key) if kind in channel["messages"]]
    assert len(fitting) == 1, (exchange, key)
    described = FOUND["components"]["messages"][kind]
    properties: dict[str, Any] = {
        name: value for name, value in message.properties if value is not None and value != ""
    }
    headers = properties.pop("headers")
    stamp = properties["timestamp"]
    assert isinstance(stamp, datetime)
    properties["timestamp"] = int(stamp.timestamp())
    if "message_type" in properties:
        properties["type"] = properties.pop("message_type")
    Draft202012Validator(described["headers"]).validate(headers)
    Draft202012Validator(described["x-properties"]).validate(properties)
    if kind != "dead_letter":
        payload = {**FOUND["components"]["schemas"][kind], "components": FOUND["components"]}
        Draft202012Validator(payload).validate(json.loads(message.body))
        assert described["bindings"]["amqp"]["messageType"] == properties["type"]


async def test_what_is_published_is_described() -> None:
    """Exchange, routing key, headers, properties and body of everything that the publisher sends."""
    publisher = Listening()
    for sent in SENT.values():
        match sent["type"]:
            case "result":
                result = msgspec.convert(sent, Result)
                await publisher.publish(REPLY, result, "alpha")
                await publisher.divert(REPLY, result, "")
            case "order_event":
                event = msgspec.convert(sent, OrderEvent)
                await publisher.publish_event(StoredEvent(event=event))
                await publisher.publish_copy(event, Copy(command_id="c1", reply=REPLY))
            case "feed_status":
                await publisher.publish_status(msgspec.convert(sent, FeedStatus))
            case "alert":
                await publisher.publish_alert(msgspec.convert(sent, Alert))
            case _:
                continue
        for exchange, key, message in publisher.heard:
            check(sent["type"], exchange, key, message)
        assert publisher.heard
        publisher.heard.clear()
    await publisher.dead_letter(delivery(close(), headers={"traceparent": "00-aa-bb-01"}), "poison", "why")
    ((exchange, key, message),) = publisher.heard
    check("dead_letter", exchange, key, message)


async def test_a_property_that_is_not_described_is_noticed() -> None:
    """The other test can fail: it takes no property, header or key that the document lacks."""
    publisher = Listening()
    await publisher.publish(REPLY, msgspec.convert(SENT["accepted"], Result), "alpha")
    ((_, _, message),) = publisher.heard
    check("result", "", "alpha.results", message)
    message.properties.priority = 5
    with pytest.raises(Exception, match="priority"):
        check("result", "", "alpha.results", message)
    message.properties.priority = None
    message.properties.headers = {"x-more": "1"}
    with pytest.raises(Exception, match="x-more"):
        check("result", "", "alpha.results", message)
    with pytest.raises(AssertionError):
        check("result", NAMES.results, "gmo_coin.accepted", message)


def test_every_declaration_is_described() -> None:
    """Exchanges and queues with their arguments, and each binding; and nothing that is not declared."""
    topology = wanted(NAMES, [(venue, lane) for venue in ("btcturk", "coinbase", "gmo_coin", "nami") for lane in LANES])
    described = [channel for name, channel in FOUND["channels"].items() if name != "reply"]
    for one in topology:
        if isinstance(one, Binding):
            (queue,) = [channel for channel in described if channel["address"] == one.queue]
            assert {"exchange": one.exchange, "key": one.key} in queue["x-bindings"]
        else:
            kind = "queue" if one.kind == "queue" else "exchange"
            found = [it for it in described if it["bindings"]["amqp"].get(kind, {}).get("name") == one.name]
            assert found, one.name
            for channel in found:
                assert channel.get("x-arguments", {}) == one.arguments
                assert channel["messages"]
                assert channel["bindings"]["amqp"][kind].get("type", "queue") == one.kind
    declared = {one.name for one in topology if isinstance(one, Declaration)}
    bound = sum(isinstance(one, Binding) for one in topology)
    assert sum(len(channel.get("x-bindings", ())) for channel in described) == bound
    for channel in described:
        amqp = channel["bindings"]["amqp"]
        assert (amqp.get("queue") or amqp["exchange"])["name"] in declared


def test_names_take_the_prefix() -> None:
    """Another prefix is another document, in which none of the usual names is left."""
    made = msgspec.json.encode(document(Names("acme"), [("nami", "cancel")], generate(), "1")).decode()
    assert "acme.commands.nami.cancel" in made
    assert re.findall(r"\borders\.[a-z]+", made) == []


def test_what_a_command_is_read_by_is_described() -> None:
    """The properties that a delivery carries over from AMQP."""
    described = FOUND["components"]["messages"]["close"]["x-properties"]["properties"]
    assert {"content_type", "reply_to", "correlation_id", "user_id", "message_id", "timestamp"} <= described.keys()
