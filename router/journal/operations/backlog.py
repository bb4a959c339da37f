"""How much is not settled: commands in doubt and waiting, results that the broker has not confirmed. For metrics."""

from collections.abc import Mapping

from msgspec import Struct

from router.journal.operations.statements import Steps

_COMMANDS = """select venue,
        sum(case when state in ('in_doubt', 'unresolved') then 1 else 0 end),
        sum(case when state = 'unresolved' then 1 else 0 end),
        now_us() - min(case when state in ('in_doubt', 'unresolved') then received_us end),
        sum(case when state = 'open' and next_us is not null and updated_us < now_us() - 1000000 then 1 else 0 end)
    from commands where state in ('open', 'in_doubt', 'unresolved') group by venue"""
_RESULTS = """select count(*), now_us() - min(created_us) from outbox where confirmed_us is null"""


class Waiting(Struct, frozen=True, kw_only=True):
    """One venue's commands without a settled result. `oldest_us` is the age of the oldest in doubt, if there is one.

    `parked` are open ones that nothing was stored of for more than a second: they wait for their time.
    """

    in_doubt: int = 0
    unresolved: int = 0
    oldest_us: int | None = None
    parked: int = 0


class Backlog(Struct, frozen=True, kw_only=True):
    """What is not settled in the whole journal, whichever process is at it."""

    venues: Mapping[str, Waiting]
    unconfirmed: int
    unconfirmed_oldest_us: int | None


def backlog() -> Steps[Backlog]:
    """Count it."""
    venues = {
        venue: Waiting(in_doubt=int(doubts), unresolved=int(given_up), oldest_us=oldest_us, parked=int(parked))
        for venue, doubts, given_up, oldest_us, parked in (yield _COMMANDS, ())
    }
    ((count, age_us),) = yield _RESULTS, ()
    return Backlog(venues=venues, unconfirmed=count, unconfirmed_oldest_us=age_us)
