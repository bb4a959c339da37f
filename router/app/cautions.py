"""What a configuration allows and should not: keys that others can read, venues that are spoken to in the clear; and
what a feed lacks. The worker logs these sentences, `order-router check` prints them."""

import stat
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from router.access.configured import Venue
from router.config import Config
from router.config.proxy import is_here
from router.config.settings import password_of
from router.ports import Clock
from router.venue_protocol.stream import Broken


class Caution(NamedTuple):
    """What it is about, and a sentence."""

    about: str
    message: str


def cautions(config: Config) -> Iterator[Caution]:
    """Yield what is worth a warning: nothing that keeps a worker from its work."""
    yield from _exposed(config)
    yield from _unencrypted(config)


def _exposed(config: Config) -> Iterator[Caution]:
    held: dict[str, list[str]] = defaultdict(list)
    for key, file in config.secret_files.items():
        url = {"broker.url": config.broker.url, "journal.url": config.journal.url}.get(key)
        if url is None or password_of(url) not in {"", "guest"}:
            held[file].append(key)
    for file, keys in held.items():
        try:
            mode = stat.S_IMODE(Path(file).stat().st_mode)
        except OSError:
            continue  # gone since it was read
        if mode & stat.S_IROTH:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            said = f"{file} holds {keys[0]}{more}, and every user of this machine can read it (mode {mode:04o})"
            yield Caution(f"file {file}", f"{said}: chmod 600")


def _unencrypted(config: Config) -> Iterator[Caution]:
    for venue in config.accounts:
        for name, url in msgspec.structs.asdict(config.venues[venue]).items():
            if not name.endswith("_url") or not url:
                continue
            parts = urlsplit(url)
            if parts.scheme in {"http", "ws"} and not is_here(parts.hostname or ""):
                said = f"{parts.scheme}://{parts.hostname} is not encrypted: whoever stands between can read and change"
                yield Caution(f"venues.{venue}.{name}", f"{said} what is said")


def stream_faults(config: Config, venues: Mapping[str, Venue], clock: Clock) -> Iterator[Caution]:
    """Yield every account whose order stream cannot begin with the keys that are configured."""
    for name, venue in venues.items():
        offered: Any = venue.adapter
        for account, secrets in config.accounts[name].items() if hasattr(offered, "stream") else ():
            stream = offered.stream(secrets)
            wants = () if stream is None else stream.begin(venue.accounts[account].stamp(clock.now_us()))
            for want in wants:
                if isinstance(want, Broken):
                    yield Caution(f"{name}/{account}", want.reason)
