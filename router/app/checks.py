"""What must hold for a worker and its feeds to do their work, looked at without doing any: for `order-router check`.

Where one of these fails a worker would end, wait or report not ready, and would log the same sentence. Nothing is
declared, consumed or sent; what is written are a transaction in the journal that changes nothing, and a mark without
meaning in the witness stream, which is how its end is found.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple
from urllib.parse import quote

from router.access.configured import Account, Venue
from router.access.reads import Reader, Reads
from router.app.cautions import cautions, stream_faults
from router.app.marks import LAST, OTHER_JOURNAL, current
from router.app.wiring import NO_ACCOUNT, build_venues
from router.broker import MarkStream, Names, survey
from router.clock import SystemClock
from router.config import Config, masked
from router.errors import BrokerUnavailable, ConfigError, JournalUnavailable, RouterError, SendError
from router.journal import file_of, open_journal
from router.telemetry import Metrics, clean
from router.transport.http import HttpTransport
from router.venue_protocol import SignedRequest

MAX_SKEW_S: Final = 3.0
"""A `Date` header has whole seconds, and the tightest venue takes stamps within five."""
TIMEOUT_S: Final = 5.0
FEW: Final = 5
"""So many names are counted rather than listed."""


class Finding(NamedTuple):
    """One thing that was looked at. A warning keeps no worker from its work."""

    check: str
    status: Literal["ok", "warning", "failed"]
    message: str


async def findings(config: Config, *, online: bool, feed: bool) -> AsyncIterator[Finding]:
    """Look at everything. `online`: also make every read that lookups and feeds need; `feed`: feeds are wanted, too."""
    venues = build_venues(config, SystemClock())
    for found in _configured(config, venues, feed=feed):
        yield found
    witnessed = False
    async for found in _broker(config):
        witnessed = witnessed or (found.check == "broker" and found.status == "ok")
        yield found
    async for found in _journal(config, witnessed=witnessed):
        yield found
    async with HttpTransport() as transport:
        for venue in venues.values():
            yield await _skew(venue, transport)
            for account in venue.accounts.values() if online else ():
                yield await _reads(venue, account, transport)


def _configured(config: Config, venues: Mapping[str, Venue], *, feed: bool) -> Iterator[Finding]:
    yield Finding("configuration", "ok", config.file or "no file: defaults and environment")
    for caution in cautions(config):
        yield Finding(caution.about, "warning", caution.message)
    lacks = {lack.about: lack.message for lack in stream_faults(config, venues, SystemClock())} if feed else {}
    for venue, named in config.accounts.items():
        for account in named:
            # Loading it has prepared every account's keys already.
            place = f"{venue}/{account}"
            yield Finding(f"secrets {place}", "ok", "can sign")
            if place in lacks:
                yield Finding(f"stream keys {place}", "failed", lacks[place])
    if not config.accounts:
        yield Finding("secrets", "failed", NO_ACCOUNT)


async def _broker(config: Config) -> AsyncIterator[Finding]:
    faults: dict[str, list[str]] = defaultdict(list)
    missing, there = [], 0
    try:
        async for one in survey(config.broker, config.lanes()):
            if one.fault is not None:
                faults[one.name].append(one.fault)
            elif one.missing:
                missing.append(one.name)
            else:
                there += 1
    except BrokerUnavailable as error:
        yield Finding("broker", "failed", str(error))
        return
    yield Finding("broker", "ok", f"connected to {masked(config.broker.url)}")
    for name, said in faults.items():
        yield Finding(name, "failed", "; ".join(dict.fromkeys(said)))
    if missing and not faults:
        named = ", ".join(missing) if len(missing) < FEW else f"{len(missing)} of {len(missing) + there}"
        yield Finding("topology", "ok", f"the worker will declare what is missing: {named}")
    elif not faults:
        yield Finding("topology", "ok", f"all {there} exchanges and queues are as they must be, and may be used")


async def _journal(config: Config, *, witnessed: bool) -> AsyncIterator[Finding]:
    """Open the journal. One that is not there yet is tried beside its place, so that it is the worker's own."""
    url = config.journal.url
    with ExitStack() as stack:
        try:
            beside = _beside(url, stack)
            async with await open_journal(beside or url) as journal:
                # A transaction that writes, and finds nothing that old.
                await journal.retire(100 * 365)
                can = "is not there yet: the worker will make it" if beside else "can be written"
                yield Finding("journal", "ok", f"{masked(url)} {can}")
                if witnessed:
                    async for found in _witness(config, journal.journal_id):
                        yield found
        except (JournalUnavailable, ConfigError) as error:
            yield Finding("journal", "failed", str(error))
        except OSError as error:
            yield Finding("journal", "failed", f"journal.url: {error}")


def _beside(url: str, stack: ExitStack) -> str:
    """Return where to try a journal file that is not there yet, for as long as the stack; empty: as it is."""
    file = file_of(url)
    if file is None or file.exists() or not file.parent.is_dir():
        return ""
    try:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=".check-", dir=file.parent.absolute()))
    except OSError:
        return ""  # which the file itself will tell
    return f"sqlite:///{quote(str(Path(folder, 'journal.db')))}"


async def _witness(config: Config, journal_id: str) -> AsyncIterator[Finding]:
    """Compare the journal with the marks that the broker keeps, as a worker does before it consumes."""
    stream = Names(config.broker.prefix).journal
    witness = MarkStream(config.broker)
    try:
        marks = current(await witness.read(LAST))
    except BrokerUnavailable:
        return  # it is missing, or may not be read: that was said
    if {mark.journal_id for mark in marks} - {journal_id}:
        yield Finding("witness", "failed", OTHER_JOURNAL)
    else:
        yield Finding("witness", "ok", f"{stream} knows of no other journal")


async def _skew(venue: Venue, transport: HttpTransport) -> Finding:
    """Compare the `Date` of any answer, a refusal included, with the middle of the time it took."""
    check = f"clock {venue.name}"
    began, began_s = time.time(), time.perf_counter()
    request = SignedRequest("GET", venue.options.public_url or venue.options.rest_url, {}, b"")
    try:
        answer = await transport.send(request, timeout_s=TIMEOUT_S, connect_s=TIMEOUT_S, before_write=lambda: None)
        date = parsedate_to_datetime(answer.headers.get("date", ""))
    except SendError as error:
        return Finding(check, "failed", f"{request.url} cannot be reached: {error}")
    except (TypeError, ValueError):
        return Finding(check, "failed", f"{request.url} answers without a date")
    took_s = time.perf_counter() - began_s
    # The header cuts the fraction off: half a second is its middle.
    skew_s = date.timestamp() + 0.5 - (began + took_s / 2)
    status: Literal["ok", "failed"] = "ok" if abs(skew_s) <= MAX_SKEW_S else "failed"
    return Finding(check, status, f"{skew_s:+.1f} s ± 0.5 s against the venue")


async def _reads(venue: Venue, account: Account, transport: HttpTransport) -> Finding:
    check = f"signed reads {venue.name}/{account.name}"
    reads = Reads(Reader(transport, SystemClock(), Metrics()))
    try:
        found = await reads.run(venue, account, venue.adapter.probe(), wait_s=TIMEOUT_S)
    except RouterError as error:
        return Finding(check, "failed", f"{venue.options.rest_url} cannot be read: {error}")
    if isinstance(found, str):
        told = f", and tells {found}" if found else ""
        return Finding(check, "ok", f"{len(reads)} reads were answered{told}")
    refused = clean(found)
    words = (refused.code, refused.venue_code, refused.message)
    return Finding(check, "failed", " ".join(word for word in words if word))
