"""`order-router check`."""

import logging
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from router.cli.process import EXIT_FAILED, AsJson, ConfigFile, configured, run

if TYPE_CHECKING:
    from router.access.configured import Account, Venue
    from router.config import Config
    from router.transport.http import HttpTransport

MAX_SKEW_S: Final = 3.0
"""A `Date` header has whole seconds, and the tightest venue takes stamps within five."""
TIMEOUT_S: Final = 5.0


class Finding(NamedTuple):
    """One line of the report."""

    check: str
    ok: bool
    detail: str


def check(
    online: Annotated[bool, typer.Option("--online", help="Also make one signed read with every account.")] = False,
    config: ConfigFile = None,
    json: AsJson = False,
) -> None:
    """Check configuration, keys, broker, journal and clocks.

    Exit status 0 only if all of it is fine. Declares nothing on the broker.
    """
    settings = configured(config)
    raise typer.Exit(0 if run(_report(settings, online=online, json=json)) else EXIT_FAILED)


async def _report(settings: "Config", *, online: bool, json: bool) -> bool:
    from msgspec.json import encode

    from router.cli.formatting import shown
    from router.telemetry import configure_logging, redact

    configure_logging(settings.secret_values(), level=logging.CRITICAL)
    findings = []
    async for found in _findings(settings, online=online):
        findings.append(found)
        if not json:
            typer.echo(f"{'ok  ' if found.ok else 'FAIL'}  {found.check:<28}  {shown(redact(found.detail))}")
    if json:
        typer.echo(redact(encode([found._asdict() for found in findings]).decode()))
    return all(found.ok for found in findings)


async def _findings(settings: "Config", *, online: bool) -> AsyncIterator[Finding]:
    from router.app.wiring import build_venues
    from router.clock import SystemClock
    from router.transport.http import HttpTransport

    yield Finding(check="configuration", ok=True, detail=settings.file or "no file: defaults and environment")
    # Loading it has prepared every account's keys already.
    accounts = [f"{venue}/{name}" for venue, named in settings.accounts.items() for name in named]
    for name in accounts:
        yield Finding(check=f"secrets {name}", ok=True, detail="can sign")
    if not accounts:
        yield Finding(check="secrets", ok=False, detail="no account is configured")
    yield await _broker(settings)
    yield await _journal(settings)
    async with HttpTransport() as transport:
        for venue in build_venues(settings, SystemClock()).values():
            yield await _skew(venue, transport)
            for account in venue.accounts.values() if online else ():
                yield await _probe(venue, account, transport)


async def _broker(settings: "Config") -> Finding:
    from router.broker import Names, close, connect, find, open_channel
    from router.config import masked
    from router.errors import BrokerUnavailable

    url = masked(settings.broker.url)
    try:
        connection = await connect(settings.broker, "check")
        try:
            channel = await open_channel(connection)
            await find(channel, Names(settings.broker.prefix), settings.lanes())
        except BrokerUnavailable as error:
            # A worker that declares brings what is missing.
            return Finding(check="broker", ok=settings.broker.declare, detail=f"connected to {url}; {error}")
        finally:
            await close(connection)
    except BrokerUnavailable as error:
        return Finding(check="broker", ok=False, detail=str(error))
    return Finding(check="broker", ok=True, detail=f"connected to {url}; every queue is there")


async def _journal(settings: "Config") -> Finding:
    from router.config import masked
    from router.errors import ConfigError, JournalUnavailable
    from router.journal import open_journal

    try:
        async with await open_journal(settings.journal.url) as journal:
            # A transaction that writes, and finds nothing that old.
            await journal.retire(100 * 365)
    except (JournalUnavailable, ConfigError) as error:
        return Finding(check="journal", ok=False, detail=" ".join(str(error).split()))
    return Finding(check="journal", ok=True, detail=f"{masked(settings.journal.url)} can be written")


async def _skew(venue: "Venue", transport: "HttpTransport") -> Finding:
    """Compare the `Date` of any answer, a refusal included, with the middle of the time it took."""
    from email.utils import parsedate_to_datetime

    from router.errors import SendError
    from router.venue_protocol import SignedRequest

    check = f"clock {venue.name}"
    began, began_s = time.time(), time.perf_counter()
    request = SignedRequest("GET", venue.options.public_url or venue.options.rest_url, {}, b"")
    try:
        answer = await transport.send(request, timeout_s=TIMEOUT_S, connect_s=TIMEOUT_S, before_write=lambda: None)
        date = parsedate_to_datetime(answer.headers.get("date", ""))
    except SendError as error:
        return Finding(check=check, ok=False, detail=f"{request.url} cannot be reached: {error}")
    except (TypeError, ValueError):
        return Finding(check=check, ok=False, detail=f"{request.url} answers without a date")
    took_s = time.perf_counter() - began_s
    # The header cuts the fraction off: half a second is its middle.
    skew_s = date.timestamp() + 0.5 - (began + took_s / 2)
    return Finding(check=check, ok=abs(skew_s) <= MAX_SKEW_S, detail=f"{skew_s:+.1f} s ± 0.5 s against the venue")


async def _probe(venue: "Venue", account: "Account", transport: "HttpTransport") -> Finding:
    from router.access.reads import Reader, Reads
    from router.clock import SystemClock
    from router.errors import SendError
    from router.telemetry import Metrics, clean

    check = f"signed read {venue.name}/{account.name}"
    reads = Reads(Reader(transport, SystemClock(), Metrics()))
    try:
        found = await reads.run(venue, account, venue.adapter.probe(), wait_s=TIMEOUT_S)
    except SendError as error:
        return Finding(check=check, ok=False, detail=str(error))
    if isinstance(found, str):
        return Finding(check=check, ok=True, detail=f"the venue takes the key{f': {found}' if found else ''}")
    refused = clean(found)
    words = (refused.code, refused.venue_code, refused.message)
    return Finding(check=check, ok=False, detail=" ".join(word for word in words if word))
