"""Holdings of the venues' limits (`router.access.shares`): leases of processes, and what each holds of a scope.

A process is dead when its row is gone, and only then is what it held handed out again. Deleting the row waits for a
renewal that is under way, and a renewal waits for a deletion: no process takes itself for alive that another buried.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from router.journal.operations.statements import Many, Steps
from router.records.share import Grant, Holdings, News, Report

HOT_US: Final = 3_000_000
_JOIN: Final = """insert into limit_pods (pod, until_us, report) values ($1, now_us() + $2, 0)"""
_RENEW: Final = """update limit_pods set until_us = now_us() + $2, report = $3 where pod = $1 and report < $3
    returning pod"""
_BURY: Final = """delete from limit_pods where pod = $1 or (cast($2 as bigint) > 0 and until_us <= now_us()
    and now_us() >= cast($2 as bigint) + (select coalesce(max(since_us), 0) from clock)) returning pod"""
_PODS: Final = """select pod, until_us - now_us(), now_us() from limit_pods"""
_SINCE: Final = """select since_us from clock"""
_HOT: Final = """select scope, shares, now_us() from limit_shares where hot_us > now_us()"""
_LOCK: Final = Many(
    """insert into limit_shares (scope, shares, hot_us)
        select scope, '{}', 0 from given where scope is not null order by scope
        on conflict (scope) do update set hot_us = limit_shares.hot_us returning scope, shares""",
    "scope text",
)
_STORE: Final = Many(
    """update limit_shares set shares = given.shares, hot_us = given.hot_us from given
        where limit_shares.scope = given.scope""",
    "scope text, shares text, hot_us bigint",
)
_decode: Final = msgspec.json.Decoder(Holdings).decode
_encode: Final = msgspec.json.Encoder().encode


def join(pod: str, hold_us: int) -> Steps[None]:
    """Run `router.ports.LimitJournal.join_limits`."""
    yield _JOIN, (pod, hold_us)


def settle(pod: str, hold_us: int, number: int, reports: Sequence[Report]) -> Steps[dict[str, Grant] | None]:
    """Run `router.ports.LimitJournal.settle_limits`."""
    rows = (yield _LOCK, [(report.scope,) for report in reports]) if reports else ()
    known = {scope: text for scope, text in rows}  # noqa: C416 - rows are no pairs
    # After the wait for those: whoever else renews this lease, or ends it, is not to wait as well.
    if not (yield _RENEW, (pod, hold_us, number)):
        return None
    if not reports:
        return {}
    # Only now, with the rows locked: whoever holds anything of them has joined, and who died did before this time.
    pods = yield _PODS, ()
    alive, now_us = frozenset(row[0] for row in pods), int(pods[0][2])
    since_us = max((row[0] for row in (yield _SINCE, ())), default=0)
    grants = {}
    stored = []
    for report in reports:
        shares = _read(known[report.scope])
        if shares is None:  # a newer version's, or damaged: whoever holds places keeps them
            grants[report.scope] = report.kept()
            continue
        grant = grants[report.scope] = shares.settle(pod, alive, report, now_us, since_us=since_us)
        hot_us = max(now_us + HOT_US if grant.hot else 0, shares.blocked_us)
        stored.append((report.scope, _encode(shares).decode(), hot_us))
    if stored:
        yield _STORE, stored
    return grants


def bury(dead: Sequence[str], rest_us: int) -> Steps[int]:
    """Run `router.ports.LimitJournal.bury_pods`."""
    buried = 0
    for pod in dead or ("",):
        buried += len((yield _BURY, (pod, rest_us)))
    return buried


def news() -> Steps[News]:
    """Run `router.ports.LimitJournal.limit_news`."""
    pods = {pod: int(left_us) for pod, left_us, _ in (yield _PODS, ())}
    rows = yield _HOT, ()
    hot = {scope: (shares, int(now_us)) for scope, text, now_us in rows if (shares := _read(text)) is not None}
    return News(pods=pods, hot=hot)


def _read(text: str) -> Holdings | None:
    try:
        return _decode(text)
    except msgspec.MsgspecError:
        return None
