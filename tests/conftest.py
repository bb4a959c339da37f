"""The servers that tests talk to: real ones, private to the run, started when the first test asks for one."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from router.demo.rabbitmq_node import RabbitMQNode
from tests.postgresql import PostgreSQL


@dataclass(frozen=True)
class GivenBroker:
    """The broker of ORDER_ROUTER_BROKER__URL: all that is known of it is its address."""

    url: str


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQNode | GivenBroker]:
    """Yield the broker that the environment names, else a node of our own. A test that hurts it starts another."""
    if url := os.environ.get("ORDER_ROUTER_BROKER__URL"):
        yield GivenBroker(url)
        return
    with RabbitMQNode() as node:
        yield node


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> Iterator[RabbitMQNode]:
    """Return a broker that may be hurt: the session's own, or one more when the session was given somebody's."""
    session = request.getfixturevalue("rabbitmq")
    if isinstance(session, RabbitMQNode):
        yield session
        return
    with RabbitMQNode() as own:
        yield own


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """Yield a cluster of our own. It is shared: a test that writes makes its own database in it."""
    with PostgreSQL() as server:
        yield server
