"""BtcTurk, spot orders: the private REST API of api.btcturk.com, version 1.

Read 2026-11-21, and again 2026-11-25: https://docs.btcturk.com (Authentication V1, Cancel Order, Get Single Order, Open
Orders, All Orders, User Transactions, Errors, Error Handling for Order Operations, Rate Limits, Recent Changes;
WebSocket Feed: Authentication, Models), and issues 83, 184, 353, 403, 412, 449, 503, 529, 550, 569, 579, 591, 604, 613,
616 of github.com/BTCTrader/broker-api-docs.

Commands: `cancel` is `DELETE /api/v1/order?id=`: since 2024-04-01 its success means "queued", a fill can still win.
`close` is refused: the venue is spot only and has no positions.
Signing: base64 HMAC-SHA256, keyed with the base64-decoded secret, of API key + stamp (ms); nothing else is signed.
Repeatability: a cancel yes, by the venue's own design; cancelling a cancelled order is a success.
Limits: DELETE 10 a second and 300 a minute, GET order 30 and 900, each per account and per IP; lists 300 a minute and
trades 120 a minute per IP. A breach blocks for one or sixty seconds.

Quirks: every stamp must differ from the one before. Errors are told by `message`: the codes have drifted, one came as
text (issue 353), and "too many requests" has come with HTTP 200. `success` can be true in a refusal. A 401 without a
body (issues 403, 550, 579: a key bound to another address) and Cloudflare's 403 page (83, 184) were not executed.
Gateway errors are HTML. Keys and values of orders come in more than one capitalisation, and `Cancelled` in two
spellings. When a stop triggers, its order becomes Canceled and another order executes: it has the stop's stopPrice,
amount and side, its `time` is the stop's `updateTime`, and its method has no "stop" in it (issue 616). Its client id
proves nothing: strangers share it. A limit order shows its own price as stopPrice (issue 449), so that alone proves
nothing either. `quantity` of that order may be wrong, `amount` is right. `price` of an order is not its average.

Stream: login by message 114 with the key pair of the stream, then everything of the account comes unasked. Fills are
taken from 423, one per trade under the trade's own id; 441 tells the same fills under the order's id, so two equal ones
cannot be told from one that came twice: a sign of life only. 451 is on the book, 452 is off it; what 452 says is left
dates from when the cancel was queued and may be too much (issue 503), so no filled size is read off it. Frames with id
0 name no order. Nothing is numbered, and 441, 451 and 452 are known to stop while the socket and 423 go on (issues 577,
613, 615): nothing in the stream shows that, only a read does. At most 15 connections a minute. `amount` of a trade is
rounded, `preciseAmount` is exact; a sell's amount, fee and tax are negative.

unverified: the wording of the 401 messages but Invalid Nonce's (all that begin with "Unauthorized" count); the HTTP
status of "Order not found"; what of a pair under maintenance comes when (taken as retry after 30 s); the first page's
number of allOrders (read without one, then from 1) and its default time range; how soon a triggered stop's new order is
listed (taken as within 10 s); whether `time` and `updateTime` of the two are always equal to the millisecond (up to a
minute apart is undecided); whether trades come in pages (read as one); whether a 452 ever means a full execution with
something left (only 0 left is taken as one), and whether the 452 and 451 of an order that was changed in the venue's
own app name the same order (taken as not: a 452 is the end of its order); what asset a buy's fee is in; the limit of
exchangeinfo.

Only a live key can settle how many pairs the venue lists and so how long the first reconciliation of a feed takes (open
orders are read pair by pair, 300 a minute), and whether openOrders without a pair shows them all. The other question is
a stop triggered on purpose: whether its child is listed at once, with exactly the parent's time.
"""

from collections.abc import Generator, Mapping
from typing import ClassVar

from msgspec import Struct

from router.venue_protocol import (
    Attempt,
    Flow,
    Limit,
    NoParams,
    Options,
    Outcome,
    Refused,
    Request,
    Response,
    Secrets,
    Signer,
)
from router.venue_protocol.stream import Known, Missed, Stream
from router.venues.btcturk import answers, lookup, reads, reconcile, requests, signing, stream
from router.venues.btcturk.conditions import CONDITIONS
from router.venues.btcturk.signing import BtcTurkSecrets
from schemas.commands import Cancel, Close, Command
from schemas.conditions import Conditions

__all__ = ["ADAPTER", "BtcTurk", "BtcTurkOptions", "BtcTurkSecrets"]


class BtcTurkOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[venues.btcturk]`: the venue's public endpoints, and its window of five seconds, unless told otherwise."""

    rest_url: str = "https://api.btcturk.com"
    ws_url: str = "wss://ws-feed-pro.btcturk.com"
    timestamp_window_s: float = 5.0


class BtcTurk:
    """The venue `btcturk`."""

    venue: ClassVar[str] = "btcturk"
    options_type: ClassVar[type[Options]] = BtcTurkOptions
    secrets_type: ClassVar[type[Secrets]] = BtcTurkSecrets
    params_types: ClassVar[Mapping[str, type[Struct]]] = {"cancel": NoParams}
    conditions: ClassVar[Conditions] = CONDITIONS
    read_pauses: ClassVar[Mapping[int, float]] = {429: 1.0}
    unique_stamps: ClassVar[bool] = True
    limits: ClassVar[tuple[Limit, ...]] = (
        Limit("delete", 10, 1.0),
        Limit("delete", 300, 60.0),
        Limit("delete", 10, 1.0, "ip"),
        Limit("delete", 300, 60.0, "ip"),
        Limit("order", 30, 1.0),
        Limit("order", 900, 60.0),
        Limit("order", 30, 1.0, "ip"),
        Limit("order", 900, 60.0, "ip"),
        Limit("open_orders", 300, 60.0, "ip"),
        Limit("all_orders", 300, 60.0, "ip"),
        Limit("trades", 120, 60.0, "ip"),
        Limit("exchange_info", 60, 60.0, "ip"),
    )
    poll_s: ClassVar[tuple[float, float] | None] = None

    def __init__(self, options: BtcTurkOptions) -> None:
        self._ws_url = options.ws_url
        self._rest_url = options.rest_url.rstrip("/")

    def signer(self, secrets: BtcTurkSecrets) -> Signer:
        """Key the HMAC and feed it the API key once; each request adds its stamp to a copy."""
        return signing.signer(secrets, self._rest_url)

    def position(self, command: Close) -> str:
        """Name the pair; it is never used, as there is nothing to close."""
        return command.symbol

    def request(self, command: Command, client_order_id: str) -> Request | Refused:
        """Build the cancel, or refuse what this venue cannot honour."""
        return requests.request(command)

    def verdict(self, command: Command, response: Response) -> Outcome:
        """Read the answer to the cancel."""
        return answers.verdict(command, response)

    def lookup(self, command: Command, attempt: Attempt) -> Flow:
        """Read the order; for a canceled stop also the lists of its pair."""
        return lookup.lookup(command, attempt)

    def repeatable(self, command: Command) -> bool:
        """A cancel may be repeated; nothing else is ever sent."""
        return isinstance(command, Cancel)

    def probe(self) -> Generator[Request, Response, Refused | str]:
        """Read what lookups and the feed need: the permissions "Trade", which cancels need as well, and "Account"."""
        return reads.probe()

    def stream(self, secrets: BtcTurkSecrets) -> Stream | None:
        """Begin one connection; without the stream's own key pair it breaks at once and says so."""
        return stream.BtcTurkStream(self._ws_url, secrets)

    def reconcile(self, known: Known) -> Generator[Request, Response, Missed]:
        """Read the account's trades, the open orders of each pair, and each other order that was open or traded."""
        return reconcile.reconcile(known)


ADAPTER = BtcTurk
