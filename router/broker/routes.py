"""Which messages go to which exchange, and what their routing keys are made of, for the AsyncAPI document.

`tests/unit/broker/test_asyncapi.py` holds this against what the publisher does.
"""

from collections.abc import Mapping

from msgspec import Struct

from router.broker.topology import Names
from schemas.json_schema import COMMANDS


class Route(Struct, frozen=True, kw_only=True):
    """The routing keys of one exchange: words and `{parameters}`, each a field of the messages that go there."""

    key: str
    messages: tuple[str, ...]
    does: str


def routes(names: Names) -> Mapping[str, Mapping[str, Route]]:
    """Return exchange → the end of the channel's name → how messages are routed there."""
    return {
        names.commands: {
            "": Route(
                key="{venue}.{account}.{type}",
                messages=tuple(COMMANDS),
                does="Takes commands, and answers each on its own reply queue.",
            )
        },
        names.results: {
            "": Route(
                key="{venue}.{account}.{outcome}",
                messages=("result",),
                does="Publishes results that have no reply queue to go to. A word that is not known is `_`.",
            )
        },
        names.events: {
            ".order_event": Route(
                key="{venue}.{account}.{symbol}.{status}",
                messages=("order_event",),
                does="Publishes each change of an order. What is no letter, digit or _ - : / in a symbol becomes `_`.",
            ),
            ".feed_status": Route(
                key="{venue}.{account}._feed.{status}",
                messages=("feed_status",),
                does="Publishes whether an account's events are complete.",
            ),
        },
        names.alerts: {
            "": Route(
                key="{severity}.{code}.{venue}",
                messages=("alert",),
                does="Publishes what an operator must know. Without a venue its word is `_`.",
            )
        },
        names.dead: {
            "": Route(key="{key}", messages=("dead_letter",), does="Publishes what could not be handled."),
        },
    }


def straight(names: Names) -> Mapping[str, tuple[str, ...]]:
    """Return queue → its messages, for the queues that are published to without an exchange of ours."""
    return {names.journal: ("mark",)}
