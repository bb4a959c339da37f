"""The contestants by name, and the order they run in."""

from collections.abc import Sequence
from typing import Final, TypeVar

from msgspec import Struct

from tests.bench import contestants
from tests.bench.commands import Wrap, message
from tests.bench.contestants import Start
from tests.bench.peers.celery_message import celery_message

BARE: Final = "bare"
AGAIN: Final = "bare-again"
SQLITE: Final = "router-sqlite"
POSTGRESQL: Final = "router-postgresql"
FASTSTREAM: Final = "faststream"
CELERY: Final = "celery"

Item = TypeVar("Item")


class Contestant(Struct, frozen=True, kw_only=True):
    """One of those who are measured.

    `races`, `paces`: it takes part in each n-th round of the race, of the latencies; who is judged, in all of them.
    `guess_per_s`: how fast it is, roughly, for telling how long a run takes.
    """

    name: str
    title: str
    start: Start
    guess_per_s: float
    wrap: Wrap = message
    races: int = 1
    paces: int = 4


LINEUP: Final = (
    Contestant(name=BARE, title="bare script", start=contestants.bare, guess_per_s=1300, paces=1),
    Contestant(name=SQLITE, title="router, SQLite", start=contestants.router_sqlite, guess_per_s=1000, paces=1),
    Contestant(name=POSTGRESQL, title="router, PostgreSQL", start=contestants.router_postgresql, guess_per_s=900),
    Contestant(name=FASTSTREAM, title="FastStream + aiohttp", start=contestants.faststream, guess_per_s=900),
    Contestant(name=AGAIN, title="bare script again", start=contestants.bare, guess_per_s=1300, paces=1),
    Contestant(
        name=CELERY,
        title="Celery + requests",
        start=contestants.celery,
        guess_per_s=500,
        wrap=celery_message,
        races=4,
    ),
)
TITLES: Final = {contestant.name: contestant.title for contestant in LINEUP}


def rotated(items: Sequence[Item], by: int) -> list[Item]:
    """Return the items in their order, beginning elsewhere: nobody always runs first, or after the same one."""
    start = by % len(items) if items else 0
    return [*items[start:], *items[:start]]
