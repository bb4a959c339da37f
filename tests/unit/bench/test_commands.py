"""The bytes that the benchmark publishes."""

import datetime
import json
from typing import Any

import pytest
from pamqp import commands
from pamqp.frame import unmarshal

from schemas.codec import JSON, decode_command
from schemas.commands import Cancel, Close
from tests.bench.commands import Patterns, Wrap, command_id, message
from tests.bench.peers.celery_message import celery_message


def parts(frames: bytes) -> tuple[commands.Basic.Publish, commands.Basic.Properties, bytes]:
    """Take the three frames of a publish apart."""
    found: list[Any] = []
    while frames:
        size, _, frame = unmarshal(frames)
        found.append(frame)
        frames = frames[size:]
    publish, header, body = found
    return publish, header.properties, body.value


@pytest.mark.parametrize("number", [7, 8, 1_000, 1_000_001, 9_999_998])
def test_a_pattern_makes_the_commands_of_every_number(number: int) -> None:
    """The second message of a pattern is a valid command of its own number, deadline and account."""
    patterns = Patterns("p", "replies")
    patterns.publish(number - 2 if len(str(number - 2)) == len(str(number)) else number, account="a7")
    publish, properties, body = parts(patterns.publish(number, ttl_s=60.0, account="a7"))
    command = decode_command(body, JSON, "")
    assert isinstance(command, Close if number % 2 else Cancel)
    assert (command.command_id, command.account) == (command_id(number), "a7")
    assert str(number) in {getattr(command, "position_id", None), getattr(command, "order_id", None)}
    assert (publish.exchange, publish.routing_key) == ("p.commands", f"gmo_coin.a7.{command.__struct_config__.tag}")
    assert (properties.correlation_id, properties.reply_to, properties.delivery_mode) == (f"c-{number}", "replies", 2)
    now = datetime.datetime.now(datetime.UTC)
    assert 55 < (command.not_after - now).total_seconds() <= 60
    assert properties.timestamp is not None
    assert abs((now - properties.timestamp).total_seconds()) < 5


@pytest.mark.parametrize("wrap", [message, celery_message])
def test_a_pattern_fits_every_kind_of_message(wrap: Wrap) -> None:
    """A wrapped command is the command."""
    patterns = Patterns("p", "replies", wrap)
    patterns.publish(1_000_001)
    body = json.loads(parts(patterns.publish(1_000_003))[2])
    fields = body if isinstance(body, dict) else body[0][0]
    assert fields["command_id"] == command_id(1_000_003)


def test_ids_of_neighbours_lie_far_apart() -> None:
    """The first digits of a hundred neighbours are spread over all there are."""
    assert len({command_id(number)[0] for number in range(1_000_000, 1_000_100)}) == 16
