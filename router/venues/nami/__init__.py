"""Nami Exchange: spot orders. Fact sheet, read 2026-11-21, and again 2026-11-25.

API       https://nami.exchange/api/v4/spot; "Close Order", "Get open orders", "Order history", "Error code" and
          "Authentication" at https://nami.gitbook.io/nami-exchange-api-docs.
Commands  cancel = DELETE order {symbol, displayingId, allowNotification}: the venue's "Close Order" cancels an order
          and answers with the order. There are no positions, so a close is refused.
Signing   HMAC-SHA256 in lower-case hex, keyed by the secret's own text, over the parameters as JavaScript's
          URLSearchParams writes them, in the order sent, `timestamp` (ms) last; `x-api-key` is the public key (the
          endpoint pages say "secret key", which must never be sent).
          unverified: whether a DELETE is checked in body or query; the pages contradict each other: `placement`.
          unverified: the tolerated age of a timestamp; taken as 60 s.
Repeats   a cancel is idempotent in effect. There are no client order ids.
Answers   the innermost `status` of the envelope decides; unverified: replies wrapped twice. The framework in front
          (NestJS) refuses with `statusCode`, `message` and `error` before anything is processed. HTTP 401, 403 and
          429 were not executed, 503 in JSON is maintenance; other 5xx, and whatever cannot be read, may have been.
          Codes are matched by name: 1112 is used twice.
Looking   no read by id: open orders (unfiltered: the pages differ on the filter's form), then history, then open
          orders again, since an order moves from the first to the second. unverified: that history pages start at 1,
          so page 0 is asked for as well.
Events    unverified: no private stream that takes an API key, so orders are polled: open orders, then the history since
          the last poll, then trades if anything was filled; an open order that is in neither is sought further back.
          unverified: which time `timeFrom` means; nothing here depends on it. The pages show orders or executions
          under "Get Order Trades": rows without `orderId` are passed over. Open orders come for all symbols at once.
Limits    unverified for v4: 60 calls a minute and address in v1, and a ban for an hour; we stay at 50, 20 for cancels.
Quirks    numbers are JSON floats, read as text. Orders are mirrored to a broker: BROKER_ERROR says nothing. Answers
          show whose order it is, so messages quote only a status word, a request id, or the framework's own refusal.

Only a live key can settle where a DELETE carries its signature (`placement`), and what words a refused timestamp or a
key without the right to trade is refused with. It takes one far-off limit order, canceled once in each placement.
"""

from collections.abc import Generator, Mapping
from typing import ClassVar, Literal

from msgspec import Struct

from router.venue_protocol import (
    Flow,
    Limit,
    Options,
    Outcome,
    Refused,
    Request,
    Response,
    Secrets,
    Signer,
)
from router.venue_protocol.stream import Known, Missed
from router.venues.nami import answers, lookup, reads, reconcile, requests, signing
from router.venues.nami.conditions import CONDITIONS
from router.venues.nami.requests import CancelParams
from router.venues.nami.signing import signed_text
from schemas.commands import Cancel, Close, Command
from schemas.conditions import Conditions

__all__ = ["ADAPTER", "CancelParams", "Nami", "NamiOptions", "signed_text"]


class NamiOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `[venues.nami]` may set. `placement` says where a DELETE carries its parameters and signature."""

    rest_url: str = "https://nami.exchange"
    placement: Literal["body", "query", "both"] = "body"


class Nami:
    """Nami Exchange, pure."""

    venue: ClassVar[str] = "nami"
    options_type: ClassVar[type[Options]] = NamiOptions
    secrets_type: ClassVar[type[Secrets]] = Secrets
    params_types: ClassVar[Mapping[str, type[Struct]]] = {"cancel": CancelParams}
    conditions: ClassVar[Conditions] = CONDITIONS
    read_pauses: ClassVar[Mapping[int, float]] = {418: 3600.0, 429: 60.0}
    unique_stamps: ClassVar[bool] = False
    limits: ClassVar[tuple[Limit, ...]] = (Limit("ip", 50, 60.0, "ip", cancels_only=20),)
    poll_s: ClassVar[tuple[float, float] | None] = (20.0, 3.0)

    def __init__(self, options: NamiOptions) -> None:
        self._placement = options.placement
        self._rest_url = options.rest_url.rstrip("/")

    def signer(self, secrets: Secrets) -> Signer:
        """Prepare the account's key once. Raises `ValueError` for a key no header or HMAC can carry."""
        return signing.signer(secrets, self._rest_url, self._placement)

    def position(self, command: Close) -> str:
        """Name the symbol; there are no positions here."""
        return command.symbol

    def request(self, command: Command, client_order_id: str) -> Request | Refused:
        """Build the DELETE of one order, or refuse; the venue has no use for a client order id."""
        return requests.request(command)

    def verdict(self, command: Command, response: Response) -> Outcome:
        """Read the answer to the DELETE."""
        return answers.verdict(command, response)

    def lookup(self, command: Command, attempt: object) -> Flow:
        """Find out by reads alone where the order stands."""
        return lookup.lookup(command)

    def repeatable(self, command: Command) -> bool:
        """Say whether sending it twice is harmless: one cancel takes effect at most."""
        return isinstance(command, Cancel)

    def probe(self) -> Generator[Request, Response, Refused | str]:
        """Read what a lookup and a poll need: open orders, history and trades."""
        return reads.probe()

    def stream(self, secrets: Secrets) -> None:
        """Return `None`: orders have to be polled."""
        return

    def reconcile(self, known: Known) -> Generator[Request, Response, Missed]:
        """Poll: open orders of all symbols, and what ended since."""
        return reconcile.reconcile(known)


ADAPTER = Nami
