"""Coinbase Advanced Trade: US derivatives (`*-CDE`). Fact sheet, read 2026-11-21, and again 2026-11-25.

API       https://api.coinbase.com/api/v3/brokerage; "Close Position", "Cancel Orders", "Get Order", "List Orders",
          "List Fills", "List Futures Positions" at https://docs.cdp.coinbase.com/api-reference/advanced-trade-api.
Commands  close = POST orders/close_position {client_order_id, product_id, size?}: the venue derives the side, `size`
          counts contracts, without it the whole position goes. cancel = POST orders/batch_cancel with one id.
          An unknown body field is a 400, so nothing private is added. `*-PERP-INTX` left this API on 2026-10-01.
Signing   Authorization: Bearer <JWT>, ES256 or EdDSA, bound to method, host and path but not to query or body;
          a new one per request, valid for at most 120 s.
Repeats   a cancel is idempotent. Create Order hands back the order that owns a client id; Close Position does not say
          so (unverified: its replay), so a close is not repeated unless `resend_close` is set.
Answers   a refusal is HTTP 200 with success = false. A cancel's success only means that it was submitted.
          401, 403 and 429 are decided before the order is looked at; 408, 425, 5xx and whatever cannot be read may
          have executed. HTTP 400 and 404 count only with a JSON body: a gateway in between may write its own.
Looking   there is no lookup by client id: orders since the send are listed and compared here, once for the default
          placement source and once for RETAIL_SIMPLE (unverified: which one a close carries); then fills and position.
          A new order may be unreadable for seconds: a 404 proves nothing; a cancel whose order the venue denies, and
          does not show seconds later, is of no order. A list that says `proof_token_required` hides rows (Strong
          Customer Authentication): it is no answer. `cfm/positions` omits flat products. Of the fills only those of
          `trade_type` FILL are executions; `entry_id` tells them apart, `trade_id` only among those.
Events    wss://advanced-trade-ws-user.coinbase.com, channels heartbeats and user, each subscribed with a token of its
          own (no `uri`) within 5 s; "WebSocket Channels" in the same documentation. A refusal is a frame of another
          shape and may leave the socket open. Orders come whole, with cumulative quantities and no executions; first
          those that are OPEN, in batches of 50, the first smaller one being the last: what ended meanwhile is never
          shown, so it is read. unverified: what follows a batch of exactly 50; that `sequence_num` counts per
          connection ("per product" in the text), as clients measured, and that 0 begins it anew; that OPEN may be
          asked for beside other statuses.
Limits    30 requests a second per user (unverified: from a retired page, still what clients use).
          A fifth is kept for cancels.
Quirks    the close is a market order, immediate or cancel (unverified): it may fill partly and end CANCELLED; accepted
          does not mean flat. A 401 may be plain text, and valid tokens are refused now and then
          (coinbase-advanced-py#132). A token dated a second ahead was refused once: ours is backdated.
          unverified: size above the position, a spot product, resting brackets; all left to the venue to refuse.

Only a live key can settle what a repeated close under one client id does (`resend_close`), and which placement source
and order type a close has. It takes a supervised trial with one contract.
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
from router.venue_protocol.stream import Known, Missed
from router.venues.coinbase import answers, lookup, reads, reconcile, requests, signing
from router.venues.coinbase.conditions import CONDITIONS
from router.venues.coinbase.signing import LIFETIME_S, signing_key, token
from router.venues.coinbase.stream import CoinbaseStream
from schemas.commands import Cancel, Close, Command
from schemas.conditions import Conditions

__all__ = ["ADAPTER", "Coinbase", "CoinbaseOptions", "CoinbaseStream", "signing_key", "token"]


class CoinbaseOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `[venues.coinbase]` may set.

    `resend_close` lets a close whose fate is unknown be sent again under the same client order id. It is off because
    Close Position does not document what a repeated id does there; a supervised one-contract trial has to show first
    that the venue creates no second order.
    """

    rest_url: str = "https://api.coinbase.com"
    ws_url: str = "wss://advanced-trade-ws-user.coinbase.com"
    timestamp_window_s: float = float(LIFETIME_S)
    resend_close: bool = False


class Coinbase:
    """Coinbase Advanced Trade, pure."""

    venue: ClassVar[str] = "coinbase"
    options_type: ClassVar[type[Options]] = CoinbaseOptions
    secrets_type: ClassVar[type[Secrets]] = Secrets
    params_types: ClassVar[Mapping[str, type[Struct]]] = {"close": NoParams, "cancel": NoParams}
    conditions: ClassVar[Conditions] = CONDITIONS
    read_pauses: ClassVar[Mapping[int, float]] = {429: 1.0}
    unique_stamps: ClassVar[bool] = False
    limits: ClassVar[tuple[Limit, ...]] = (Limit("private", 30, 1.0, cancels_only=6),)
    poll_s: ClassVar[tuple[float, float] | None] = None

    def __init__(self, options: CoinbaseOptions) -> None:
        self._resend_close = options.resend_close
        self._ws_url = options.ws_url
        self._rest_url = options.rest_url.rstrip("/")

    def signer(self, secrets: Secrets) -> Signer:
        """Parse the key once. Raises `ValueError`, without quoting it, for a key that cannot be used."""
        return signing.signer(secrets, self._rest_url)

    def position(self, command: Close) -> str:
        """Name the position: one per product, netted."""
        return command.symbol

    def request(self, command: Command, client_order_id: str) -> Request | Refused:
        """Build the one request that acts, or refuse what this venue cannot honour."""
        return requests.request(command, client_order_id)

    def verdict(self, command: Command, response: Response) -> Outcome:
        """Read the answer to that request."""
        return answers.verdict(command, response)

    def lookup(self, command: Command, attempt: Attempt) -> Flow:
        """Find out by reads alone what became of the order."""
        return lookup.lookup(command, attempt)

    def repeatable(self, command: Command) -> bool:
        """Say whether sending it twice is harmless: a cancel, and a close only by `resend_close`."""
        return isinstance(command, Cancel) or (isinstance(command, Close) and self._resend_close)

    def probe(self) -> Generator[Request, Response, Refused | str]:
        """Read the key's own permissions, and each list that lookups and the feed need."""
        return reads.probe()

    def stream(self, secrets: Secrets) -> CoinbaseStream:
        """Begin the protocol of one connection. Raises `ValueError` for a key that cannot be used."""
        return CoinbaseStream(self._ws_url, signing_key(secrets.api_secret), secrets.api_key)

    def reconcile(self, known: Known) -> Generator[Request, Response, Missed]:
        """Read the open orders of every product, those made since, what was filled since, and each that ended."""
        return reconcile.reconcile(known)


ADAPTER = Coinbase
