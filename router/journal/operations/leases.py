"""Who feeds which account: leases with a fence, turns to send, and how far a feed has come.

`gone(owner)` holds where the back end knows that a process has died: PostgreSQL does, a file does not.
"""

from router.errors import LeaseLost
from router.journal.operations.orders import LOOK_BACK_US
from router.journal.operations.statements import Steps
from router.records.event import Holder, Lease, Position

_TAKE = """insert into feeds (venue, account, owner, fence, until_us, seq, published_seq, complete_us)
    values ($1, $2, $3, 1, now_us() + $4, 0, 0, now_us() - $5)
    on conflict (venue, account) do update set fence = feeds.fence + 1, owner = excluded.owner,
        until_us = excluded.until_us
    where feeds.until_us <= now_us() or gone(feeds.owner)
    returning fence"""
_RENEW = """update feeds set until_us = now_us() + $2 where owner = $1 and until_us > now_us()
    returning venue, account, fence"""
_RELEASE = """update feeds set until_us = 0 where venue = $1 and account = $2 and owner = $3 and fence = $4"""
_HOLDERS = """select venue, account, owner, case when gone(owner) then 0 else until_us - now_us() end from feeds"""
_PACE = """insert into feed_paces (venue, free_us) values ($1, now_us() + $2)
    on conflict (venue) do update set
        free_us = case when feed_paces.free_us > now_us() then feed_paces.free_us else now_us() end + $2
    returning free_us - $2 - now_us()"""
# Taking the account's row first makes whoever else records for it wait, and see the fence of the last owner.
FENCED = """update feeds set published_seq = case when published_seq < $5 then $5 else published_seq end,
        complete_us = case when complete_us < $6 then $6 else complete_us end
    where venue = $1 and account = $2 and owner = $3 and fence = $4 returning seq, published_seq, complete_us"""


def take(venue: str, account: str, owner: str, valid_us: int) -> Steps[Lease | None]:
    """Run `router.ports.EventJournal.take_lease`."""
    rows = yield _TAKE, (venue, account, owner, valid_us, LOOK_BACK_US)
    return Lease(venue=venue, account=account, owner=owner, fence=rows[0][0]) if rows else None


def renew(owner: str, valid_us: int) -> Steps[tuple[Lease, ...]]:
    """Run `router.ports.EventJournal.renew_leases`."""
    rows = yield _RENEW, (owner, valid_us)
    return tuple(Lease(venue=venue, account=account, owner=owner, fence=fence) for venue, account, fence in rows)


def release(lease: Lease) -> Steps[None]:
    """Run `router.ports.EventJournal.release_lease`."""
    yield _RELEASE, fenced_key(lease)


def holders() -> Steps[tuple[Holder, ...]]:
    """Run `router.ports.EventJournal.lease_holders`."""
    rows = yield _HOLDERS, ()
    return tuple(Holder(venue=venue, account=account, owner=owner, left_us=us) for venue, account, owner, us in rows)


def pace(venue: str, pace_us: int) -> Steps[int]:
    """Run `router.ports.EventJournal.pace`."""
    rows = yield _PACE, (venue, pace_us)
    return max(int(rows[0][0]), 0)


def progress(lease: Lease, *, published_seq: int = 0, complete_us: int = 0) -> Steps[Position]:
    """Run `router.ports.EventJournal.feed_progress`."""
    rows = yield FENCED, (*fenced_key(lease), published_seq, complete_us)
    if not rows:
        raise LeaseLost(f"the feed of {lease.venue}/{lease.account} has another owner")
    seq, published, complete = rows[0]
    return Position(seq=seq, published_seq=published, complete_us=complete)


def fenced_key(lease: Lease) -> tuple[str, str, str, int]:
    return lease.venue, lease.account, lease.owner, lease.fence
