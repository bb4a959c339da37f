"""Simulators on loopback, and a signing client of each venue."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import aiohttp
import pytest

from router.simulator import Simulators
from tests.integration.simulator.clients import BtcTurk, Client, Coinbase, Gmo, Nami

C = TypeVar("C", bound=Client)


@pytest.fixture
async def simulators() -> AsyncIterator[Simulators]:
    """All venues with their published rate limits."""
    async with Simulators() as simulators:
        yield simulators


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client that never repeats a request by itself."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        session._retry_connection = False
        yield session


def client(kind: type[C], simulators: Simulators, session: aiohttp.ClientSession, account: str = "main") -> C:
    """Return a client of the venue that its class is named after."""
    venue = {Gmo: "gmo_coin", Coinbase: "coinbase", BtcTurk: "btcturk", Nami: "nami"}[kind]
    return kind(session, simulators.venues[venue], simulators.root(venue), account)


@pytest.fixture
def gmo(simulators: Simulators, session: aiohttp.ClientSession) -> Gmo:
    """A GMO Coin client."""
    return client(Gmo, simulators, session)


@pytest.fixture
def coinbase(simulators: Simulators, session: aiohttp.ClientSession) -> Coinbase:
    """A Coinbase client that signs with ES256."""
    return client(Coinbase, simulators, session)


@pytest.fixture
def coinbase_ed25519(simulators: Simulators, session: aiohttp.ClientSession) -> Coinbase:
    """A Coinbase client that signs with EdDSA."""
    return client(Coinbase, simulators, session, "ed25519")


@pytest.fixture
def btcturk(simulators: Simulators, session: aiohttp.ClientSession) -> BtcTurk:
    """A BtcTurk client."""
    return client(BtcTurk, simulators, session)


@pytest.fixture
def nami(simulators: Simulators, session: aiohttp.ClientSession) -> Nami:
    """A Nami client."""
    return client(Nami, simulators, session)


Reader = Callable[[], Awaitable[object]]


async def until(read: Reader, wanted: object) -> None:
    """Read until the answer is `wanted`; the test's own timeout ends a wait in vain."""
    while await read() != wanted:
        pass
