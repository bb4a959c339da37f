"""Harbour, a venue that does not exist: the smallest one that keeps every promise. `test_new_venue.py` adds it.

API       https://api.harbour.example/v1.
Commands  cancel = POST /v1/cancel {id}. There are no positions, so a close is refused.
Signing   HMAC-SHA256 in hex, keyed by the secret's text, of timestamp (ms) + method + path + body.
Repeats   a cancel is idempotent.
Limits    10 requests a second and account.
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
from schemas.commands import Cancel, Close, Command
from schemas.conditions import Conditions

from . import answers, lookup, reads, reconcile, requests, signing


class HarbourOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `[venues.harbour]` may set."""

    rest_url: str = "https://api.harbour.example"


class Harbour:
    """Harbour, pure."""

    venue: ClassVar[str] = "harbour"
    options_type: ClassVar[type[Options]] = HarbourOptions
    secrets_type: ClassVar[type[Secrets]] = Secrets
    read_pauses: ClassVar[Mapping[int, float]] = {}
    unique_stamps: ClassVar[bool] = False
    params_types: ClassVar[Mapping[str, type[Struct]]] = {"cancel": NoParams}
    conditions: ClassVar[Conditions] = {}
    limits: ClassVar[tuple[Limit, ...]] = (Limit("all", 10, 1.0, cancels_only=2),)
    poll_s: ClassVar[tuple[float, float] | None] = (20.0, 3.0)

    def __init__(self, options: HarbourOptions) -> None:
        self._rest_url = options.rest_url.rstrip("/")

    def signer(self, secrets: Secrets) -> Signer:
        """Key the HMAC once."""
        return signing.signer(secrets, self._rest_url)

    def position(self, command: Close) -> str:
        """Name the symbol; there are no positions here."""
        return command.symbol

    def request(self, command: Command, client_order_id: str) -> Request | Refused:
        """Build the cancel, or refuse."""
        return requests.request(command)

    def verdict(self, command: Command, response: Response) -> Outcome:
        """Read the answer to the cancel."""
        return answers.verdict(command, response)

    def lookup(self, command: Command, attempt: Attempt) -> Flow:
        """Look for the order in the list of all."""
        return lookup.lookup(command)

    def repeatable(self, command: Command) -> bool:
        """Say whether sending it twice is harmless."""
        return isinstance(command, Cancel)

    def probe(self) -> Generator[Request, Response, Refused | str]:
        """Read the list that a lookup needs."""
        return reads.probe()

    def stream(self, secrets: Secrets) -> None:
        """Return `None`: orders have to be polled."""
        return

    def reconcile(self, known: Known) -> Generator[Request, Response, Missed]:
        """Read the list of all orders."""
        return reconcile.reconcile(known)


ADAPTER = Harbour
