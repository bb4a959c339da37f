"""GMO Coin, margin positions and orders: the private REST API of api.coin.z.com, version 1.

Read 2026-11-21, and again 2026-11-25: https://api.coin.z.com/docs/en/ (Authentication-Private, Close Order, Cancel
Order, Orders, Active Orders, Executions, Latest Executions, Open Positions, Symbols, Error Codes; Private WebSocket
API: Access Token, Order Events, Execution Events, Position Events).

Commands: `close` is `POST /v1/closeOrder`: one position by id, wholly or in part. `cancel` is `POST /v1/cancelOrder`:
success means "being cancelled", a fill can still win. `time_in_force`: gtc FAS, ioc FAK, fok FOK, post_only SOK
(limit only). Left out, the venue's defaults hold: FAK for market and stop, FAS for limit. `params.cancel_before`
(market, ioc, sell only) cancels older orders when the size is not available.
Signing: lower-case hex HMAC-SHA256, keyed with the secret's own text, of timestamp (ms) + method + path + body; never
the query, never `/private`, and on PUT and DELETE /v1/ws-auth not the body that is sent.
Repeatability: a cancel yes, by its order id. A close never: there is no client order id (the one in GMO's FX
documents is another API's), and a second market close of a partial size closes more.
Limits: 20 GET and 20 POST per second and account (Tier 1; 30 in Tier 2, 50 in Tier 3), shared by all keys and pods. A
fifth of the POSTs is kept for cancels: closes would fill the second, and a cancel wait for its end.

Quirks: errors come as HTTP 200 with `status` other than 0, so `message_code` decides at any HTTP status; at 5xx only
the codes that say "not processed" are believed. A closing order's id is text (a number is taken too), every other id
a number. No rows: `"data": {}`. Every list of orders is of one symbol: a feed has to ask `/public/v1/symbols` which
there are. Permission is per function of a key, so a key that cancels may not be allowed to look. Maintenance answers
lack `responsetime`. It is `orderdSize`, not orderedSize. ERR-151 says "Service Unavailable" and means an unknown
order. Only executions tell which position an order closed, and only for a day.

Stream: a token (60 minutes, five at most, a sixth ends the one nearest its end) is part of the socket's address; it
is extended every 15 minutes and deleted at the end. One subscription a second and IP, never acknowledged; a refused
one leaves an error frame and a silent socket. Nothing is numbered, nothing is sent again after a reconnect, and an
account without orders is silent for days: the venue's ping, once a minute, is the only regular sign of life, and the
socket answers it. A full execution is told by executionEvents alone; the channels are not in step with each other.
orderEvents carry the time of the order, not of the event. Frames need ids, sizes and a status; `timeInForce` has been
missing, `fee` a number.

unverified: whether a token's end ends its open socket (the extension that fails then breaks the stream); what an
ERR-5003 frame refuses, as it names no channel (all three are said again); the timestamp window (taken as 60 s);
whether /v1/orders forgets old orders (an empty answer is `Absent`); whether a throttled close can exist (taken as
not, like the venue's words); ERR-5203 for a cancel; the order of latestExecutions (so it is always read to the end);
clock skew between venue and router (up to 1 s is allowed for, up to the timestamp window is left undecided); that
ERR-5106 can mean a position too young to close (taken as final); whether a request without an `Accept` header is
refused (the HTTP client sends one); the limit of public reads (taken as 2 a second and address).

Only a live key can settle how late a timestamp may be, and what /v1/orders shows of an id that it does not know: an
empty answer or a refusal. No read shows whether a key may close and cancel: that takes one far-off limit close of the
smallest size, canceled at once.
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
from router.venues.gmo_coin import answers, lookup, reads, reconcile, requests, signing, stream
from router.venues.gmo_coin.conditions import CONDITIONS
from router.venues.gmo_coin.requests import CloseParams
from schemas.commands import Cancel, Close, Command
from schemas.conditions import Conditions

__all__ = ["ADAPTER", "CloseParams", "GmoCoin", "GmoCoinOptions"]


class GmoCoinOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[venues.gmo_coin]`: the venue's public endpoints unless told otherwise."""

    rest_url: str = "https://api.coin.z.com/private"
    public_url: str = "https://api.coin.z.com/public"
    ws_url: str = "wss://api.coin.z.com/ws/private"


class GmoCoin:
    """The venue `gmo_coin`."""

    venue: ClassVar[str] = "gmo_coin"
    options_type: ClassVar[type[Options]] = GmoCoinOptions
    secrets_type: ClassVar[type[Secrets]] = Secrets
    params_types: ClassVar[Mapping[str, type[Struct]]] = {"close": CloseParams, "cancel": NoParams}
    conditions: ClassVar[Conditions] = CONDITIONS
    read_pauses: ClassVar[Mapping[int, float]] = {}
    unique_stamps: ClassVar[bool] = False
    limits: ClassVar[tuple[Limit, ...]] = (
        Limit("get", 20, 1.0),
        Limit("post", 20, 1.0, cancels_only=4),
        Limit("public", 2, 1.0, "ip"),
    )
    poll_s: ClassVar[tuple[float, float] | None] = None

    def __init__(self, options: GmoCoinOptions) -> None:
        self._ws_url = options.ws_url.rstrip("/")
        self._rest_url = options.rest_url.rstrip("/")
        self._public_url = options.public_url.rstrip("/")

    def signer(self, secrets: Secrets) -> Signer:
        """Key the HMAC once; each request costs one copy of it."""
        return signing.signer(secrets, self._rest_url, self._public_url)

    def position(self, command: Close) -> str:
        """Name the position: closes of different positions do not touch each other."""
        return command.position_id or ""

    def request(self, command: Command, client_order_id: str) -> Request | Refused:
        """Build closeOrder or cancelOrder; the venue takes no id of ours."""
        return requests.request(command)

    def verdict(self, command: Command, response: Response) -> Outcome:
        """Read the answer to closeOrder or cancelOrder."""
        return answers.verdict(command, response)

    def lookup(self, command: Command, attempt: Attempt) -> Flow:
        """Close: orders, executions, positions of the symbol. Cancel: the order itself."""
        return lookup.lookup(command, attempt)

    def repeatable(self, command: Command) -> bool:
        """Only a cancel: an order is cancelled once, however often it is asked for."""
        return isinstance(command, Cancel)

    def probe(self) -> Generator[Request, Response, Refused | str]:
        """Read each list that lookups and the feed need: permission is per function."""
        return reads.probe()

    def stream(self, secrets: Secrets) -> Stream | None:
        """Begin one connection under a token of its own."""
        return stream.GmoCoinStream(self._ws_url)

    def reconcile(self, known: Known) -> Generator[Request, Response, Missed]:
        """Read active orders and executions of every symbol, then each order that was open or executed."""
        return reconcile.reconcile(known)


ADAPTER = GmoCoin
