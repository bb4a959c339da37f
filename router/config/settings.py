"""What the configuration says, once it is known to be right (contract, section 5).

Prints nothing secret: the password of a URL and every credential are masked in `repr`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Meta, Struct, field

from router.config.proxy import Proxies
from router.venue_protocol import Options, Secrets
from schemas.fields import Action

Lane = Literal["cancel", "close"]
LANES: Final[tuple[Lane, ...]] = ("cancel", "close")

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
PositiveSeconds = Annotated[float, Meta(gt=0, le=86_400)]

_RATE: Final = re.compile(r"([0-9]{1,7})/([0-9]{1,7}(?:\.[0-9]{1,3})?)(ms|s|m|h)")
_PASSWORD_PARAMETER: Final = re.compile(r"[?&]password=([^&#]+)")
_UNIT_S: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class BrokerSettings(Struct, frozen=True, kw_only=True):
    """`[broker]`. `prefetch` counts per lane. The three files are for `amqps://` only; empty means not given."""

    url: str = "amqp://guest:guest@127.0.0.1:5672/"
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$(?!\n)")] = "orders"
    prefetch: Annotated[int, Meta(ge=1, le=65_535)] = 64
    heartbeat_s: Annotated[int, Meta(ge=1, le=600)] = 10
    declare: bool = True
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def __repr__(self) -> str:
        return f"Broker(url={masked(self.url)!r}, prefix={self.prefix!r}, …)"


class JournalSettings(Struct, frozen=True, kw_only=True):
    """`[journal]`. `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://…`."""

    url: str = "sqlite:///order-router.db"
    retention_days: Annotated[int, Meta(ge=1, le=36_500)] = 30

    def __repr__(self) -> str:
        return f"Journal(url={masked(self.url)!r}, retention_days={self.retention_days})"


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """`[worker]`. `lanes` holds `<venue>` for both lanes or `<venue>.cancel`, `<venue>.close`; see `Config.lanes`.

    `address` names where requests leave from: processes of one name share the limits that a venue counts by address.
    """

    lanes: tuple[str, ...] = ()
    drain_timeout_s: Seconds = 25.0
    max_horizon_s: PositiveSeconds = 300.0
    resolve_for_s: PositiveSeconds = 600.0
    lease_s: PositiveSeconds = 15.0
    cancel_without_journal: bool = True
    address: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]{1,64}$(?!\n)")] = "shared"


class HttpSettings(Struct, frozen=True, kw_only=True):
    """`[http]`. Port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 9464


class SenderPolicy(Struct, frozen=True, kw_only=True):
    """`[senders.<user>]`: what one publisher may ask for, and where it may be answered.

    `accounts` holds `<venue>/<account>`. `commands` left out allows all four. `reply_to` is searched in the reply
    queue's name (`re.search`: write `^` and `$` yourself); empty allows any.
    """

    accounts: tuple[str, ...]
    commands: tuple[Action, ...] = ("close", "cancel", "close_all", "cancel_all")
    reply_to: str = ""


class Config(Struct, frozen=True, kw_only=True):
    """Everything configured. `venues` has an entry for every venue that is configured or has an account.

    An empty `senders` means that everyone may send; otherwise whoever is not listed is refused.
    """

    broker: BrokerSettings = BrokerSettings()
    journal: JournalSettings = JournalSettings()
    worker: WorkerSettings = WorkerSettings()
    http: HttpSettings = HttpSettings()
    venues: dict[str, Options] = field(default_factory=dict)
    accounts: dict[str, dict[str, Secrets]] = field(default_factory=dict)
    senders: dict[str, SenderPolicy] = field(default_factory=dict)
    proxies: Proxies = Proxies()
    """What the environment says of proxies, for the redaction: whoever connects reads it there as well."""
    file: str = ""
    """The file that was read; empty when there was none."""
    secret_files: dict[str, str] = field(default_factory=dict)
    """Which file each secret or private key was read from, by the key that names or holds it."""

    def lanes(self) -> tuple[tuple[str, Lane], ...]:
        """Return the (venue, lane) pairs to consume, cancels first: `worker.lanes`, else all that have an account."""
        named = self.worker.lanes or tuple(sorted(self.accounts))
        return tuple(
            (venue, lane)
            for lane in LANES
            for venue in dict.fromkeys(entry.partition(".")[0] for entry in named)
            if venue in named or f"{venue}.{lane}" in named
        )

    def secret_values(self) -> frozenset[str]:
        """Return every secret text, as configured and as it may show up decoded, for redaction."""
        found = {
            value
            for accounts in self.accounts.values()
            for secrets in accounts.values()
            for value in msgspec.structs.astuple(secrets)
            if isinstance(value, str)
        }
        found |= self.proxies.secrets()
        for url in (self.broker.url, self.journal.url):
            if password := password_of(url):
                found |= {password, unquote(password)}
        # RabbitMQ's published default, good on loopback alone, is no secret, and an ordinary word.
        return frozenset(found - {"", "guest"})


def parse_rate(text: str) -> tuple[tuple[int, float], ...]:
    """Read `"20/1s"`, `"10/1s,300/60s"`, `"1/100ms"`, `"1000/1h"` as (count, period in seconds) pairs; `"off"` as none.

    Raises `ValueError` for anything else.
    """
    if text.strip() == "off":
        return ()
    pairs = []
    for part in text.split(","):
        found = _RATE.fullmatch(part.strip())
        count, period_s = (int(found[1]), float(found[2]) * _UNIT_S[found[3]]) if found else (0, 0.0)
        if count == 0 or period_s == 0:
            raise ValueError('a rate looks like "20/1s", "10/1s,300/60s", "1/100ms", "1000/1h" or "off"')
        pairs.append((count, period_s))
    return tuple(pairs)


def password_of(url: str) -> str:
    """Return the password in a URL as it is written there; empty when there is none."""
    authority = url.partition("://")[2]
    # Not urlsplit: a password with a raw "/", "#" or "?" must be found as well, for this feeds the redaction.
    credentials, at, _ = authority.rpartition("@")
    in_query = _PASSWORD_PARAMETER.search(url)
    return credentials.partition(":")[2] if at else in_query[1] if in_query else ""


def masked(url: str) -> str:
    """Return a URL that may be printed."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        user = f"{parts.username}:…@" if parts.username else ""
        # A password with a raw "@" or "/" would surface in another part.
        if password_of(url) and "@" in f"{parts.hostname}{parts.path}{parts.query}{parts.fragment}":
            return f"{parts.scheme}://…"
        return f"{parts.scheme}://{user}{parts.hostname or ''}{port}{parts.path}"
    except ValueError:
        return "…"
