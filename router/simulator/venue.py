"""What every simulated venue has in common: accounts, clock, ledger, faults, limits, and the life of a request.

A request is recorded first, then meets a fault if one waits for it, then the venue's own order of checks:
maintenance, rate limit, credentials, permission, and only then the endpoint. A subclass brings the endpoints and
says how its venue words things; it owns every route of its server except the control routes under `/_sim/`.
"""

import asyncio
import itertools
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from email.utils import formatdate
from functools import partial
from typing import Any, ClassVar, Final

import msgspec
from aiohttp import web

from router.simulator import wire
from router.simulator.book import Book, Order, Position, Status
from router.simulator.call import (
    Account,
    Action,
    Answer,
    Call,
    Endpoint,
    Refusal,
    html_answer,
    json_answer,
    origin_of,
    read_call,
    with_headers,
)
from router.simulator.faults import Armed, Fault, FaultQueue
from router.simulator.feed import ArmedFeedFault, FeedFault, Load, LoadReport, VenueFeed, run_load
from router.simulator.ledger import EntryKind, Ledger, Subject
from router.simulator.market import Market, Move
from router.simulator.rates import Breach, Meter, Rate
from router.simulator.seeds import Behaviour, OrderSeed, PositionSeed
from router.simulator.truth import ENDINGS, Ending, Truth, truth_of

_NOBODY: Final = Account(name="", api_key="", api_secret="", book=Book())


class VenueSimulator(ABC):
    """One venue. Time is the machine's clock plus `clock_offset_ms`; rate limits and delays use the real one."""

    venue: ClassVar[str]
    rates: ClassVar[tuple[Rate, ...]]
    behaviour_type: ClassVar[type[Behaviour]] = Behaviour
    siblings: ClassVar[bool] = False
    tells_retry_after: ClassVar[bool] = False
    endings: ClassVar[Mapping[Status, Ending]] = ENDINGS
    first_order_id: ClassVar[int] = 1
    first_fill_id: ClassVar[int] = 1
    first_position_id: ClassVar[int] = 1

    def __init__(self, *, rate_limits: bool = True, ids_from: int = 0) -> None:
        self.ledger = Ledger()
        self.faults = FaultQueue()
        self.clock_offset_ms = 0
        self._rate_limits = rate_limits
        self._order_ids = self.order_ids(ids_from)
        self._position_ids = map(str, itertools.count(self.first_position_id + ids_from))
        self.market = Market(
            ledger=self.ledger,
            now_ms=self.now_ms,
            order_ids=self._order_ids,
            fill_ids=itertools.count(self.first_fill_id + ids_from),
            siblings=self.siblings,
        )
        self.accounts = self.market.accounts
        self._by_key: dict[str, Account] = {}
        self._closing = asyncio.Event()
        self._meter = Meter(self.rates)
        self.feed = self.private_feed()
        self.create_accounts()
        self.reset()

    # What a venue says for itself.

    @abstractmethod
    def endpoints(self) -> Sequence[Endpoint]:
        """Return the routes."""

    @abstractmethod
    def create_accounts(self) -> None:
        """Add the accounts of the default configuration."""

    @abstractmethod
    def seed(self) -> None:
        """Put the positions and orders of the venue's own document on the books."""

    @abstractmethod
    def key_of(self, headers: Mapping[str, str]) -> str:
        """Return the API key a request names, verified or not."""

    @abstractmethod
    def authenticate(self, call: Call) -> None:
        """Raise `Refusal` unless key, timestamp and signature are right."""

    @abstractmethod
    def subject(self, call: Call) -> Subject:
        """Read what a request is about, for the ledger. Never raises, whatever the bytes."""

    @abstractmethod
    def error(self, call: Call, code: str) -> Answer:
        """Word a refusal with a code in the venue's own envelope."""

    @abstractmethod
    def throttled(self, breach: Breach | None) -> Answer:
        """Word the venue's throttle; `None` when it was scripted."""

    @abstractmethod
    def forbidden(self, call: Call) -> Answer:
        """Word the refusal of a key that lacks the permission."""

    def under_maintenance(self) -> Answer:
        """Word the venue's maintenance."""
        return html_answer(503)

    def unknown_route(self) -> Answer:
        """Word the answer to a path or method that does not exist."""
        return json_answer(404, {"message": "Not Found"})

    def order_ids(self, ids_from: int) -> Iterator[str]:
        """Iterate over ids for new orders, so many beyond the venue's first."""
        return map(str, itertools.count(self.first_order_id + ids_from))

    def position_id(self, seed: PositionSeed) -> str:
        """Return the id of a seeded position."""
        return seed.position_id or next(self._position_ids)

    def urls(self, root: str) -> dict[str, str]:
        """Return the configuration keys that lead here, `root` being this server's scheme, host and port.

        No key may be left to its default: that is the real venue.
        """
        return {"rest_url": root, "ws_url": root.replace("http", "ws", 1) + "/ws"}

    def secrets(self, account: Account) -> dict[str, str]:
        """Return the configuration of an account."""
        return {"api_key": account.api_key, "api_secret": account.api_secret}

    def private_feed(self) -> VenueFeed[Any] | None:
        """Return the venue's private feed, or `None` where it has none."""
        return None

    # What tests and the control routes do.

    def now_ms(self) -> int:
        """Return the venue's clock."""
        return int(time.time() * 1000) + self.clock_offset_ms

    def reset(self) -> None:
        """Go back to the seeds: books, ledger, faults, behaviour, limits and clock. Every feed socket is dropped."""
        self.behaviour = self.behaviour_type(rate_limits=self._rate_limits)
        self.clock_offset_ms = 0
        self.ledger.clear()
        self.faults.clear()
        self.market.prices.clear()
        self._meter = Meter(self.rates)
        if self.feed is not None:
            self.feed.reset()
        for account in self.accounts.values():
            account.book = self._new_book(account.name)
        self.seed()

    def behave(self, **switches: object) -> Any:
        """Set switches of the venue's `Behaviour`; raises `msgspec.ValidationError` for one it does not have."""
        wanted = msgspec.structs.asdict(self.behaviour) | switches
        self.behaviour = msgspec.convert(wanted, self.behaviour_type)
        return self.behaviour

    def add_account(self, name: str, *, api_key: str, api_secret: str, permissions: Sequence[Action] = ()) -> Account:
        """Open an account with empty books; no permissions named means all."""
        account = Account(name=name, api_key=api_key, api_secret=api_secret, book=self._new_book(name))
        if permissions:
            account.permissions = frozenset(permissions)
        self.accounts[name] = self._by_key[api_key] = account
        return account

    def inject(self, fault: Fault) -> Armed:
        """Script a fault; the answer's `struck` counts the requests it has hit."""
        stale = fault.what == "stale"
        snapshots = {name: account.book.snapshot() for name, account in self.accounts.items()} if stale else {}
        return self.faults.add(fault, snapshots)

    def disturb(self, fault: FeedFault) -> ArmedFeedFault:
        """Script a fault of the private feed. Raises `ValueError` for one that the venue cannot have."""
        if self.feed is None:
            raise ValueError(f"{self.venue} has no private feed")
        return self.feed.inject(fault)

    async def load(self, load: Load) -> LoadReport:
        """Publish many events on an account's feed and return at their end."""
        return await run_load(self, load)

    def truth(self, account: str = "main") -> dict[str, Truth]:
        """Return what every order of an account is now, by its id."""
        return truth_of(self.accounts[account].book, self.endings)

    def add_positions(self, seed: PositionSeed) -> list[Position]:
        """Open positions nobody traded for."""
        book, opened_ms = self.accounts[seed.account].book, self.now_ms()
        added = []
        for _ in range(seed.count):
            position_id = self.position_id(seed)
            added.append(Position(position_id=position_id, symbol=seed.symbol, side=seed.side, size=seed.size,
                                  price=seed.price, opened_ms=opened_ms))  # fmt: skip
            book.open(added[-1])
        return added

    def add_orders(self, seed: OrderSeed) -> list[Order]:
        """Put orders on the book that no request placed."""
        book, now_ms = self.accounts[seed.account].book, self.now_ms()
        fields = {name: getattr(seed, name) for name in seed.__struct_fields__ if name not in {"account", "count"}}
        fields |= {"created_ms": now_ms, "updated_ms": now_ms, "cost": seed.filled * seed.price}
        return [
            book.put(Order(**fields | {"order_id": seed.order_id or next(self._order_ids)})) for _ in range(seed.count)
        ]

    def move(self, move: Move) -> None:
        """Let something happen in the market. Raises `KeyError` for what is not there."""
        self.market.move(move)

    def stop(self) -> None:
        """Let go of every request that hangs or is held and of every feed socket."""
        self._closing.set()
        self.faults.release()
        if self.feed is not None:
            self.feed.hang_up()

    # What endpoints use.

    def keyholder(self, api_key: str) -> Account | None:
        """Return the account of an API key."""
        return self._by_key.get(api_key)

    def next_order_id(self) -> str:
        """Return an id for a new order."""
        return next(self._order_ids)

    def place(self, call: Call, order: Order) -> Order:
        """Put a new order on the book, hidden from reads if the fault of this request says so."""
        if call.fault is not None and call.fault.hide_s:
            call.account.book.hide(order.order_id, int((time.time() + call.fault.hide_s) * 1000))
        return self.market.place(call.account, order, call.origin)

    def view(self, call: Call) -> Book:
        """Return the book that a read shows."""
        return call.stale or call.account.book.view(int(time.time() * 1000))

    def record(self, kind: EntryKind, call: Call, note: str = "") -> None:
        """Write a ledger entry about a request."""
        self.ledger.add(kind, call.origin, self.subject(call), at_ms=self.now_ms(), note=note)

    def take(self, scope: str, *, account: str, ip: str) -> Breach | None:
        """Draw from a rate limit; return the one that refuses."""
        if not self.behaviour.rate_limits:
            return None
        return self._meter.take(scope, account=account or ip, ip=ip, now_s=time.time())

    def refusal(self, call: Call, code: str) -> Refusal:
        """Return the refusal with a code, to be raised."""
        return Refusal(self.error(call, code), code)

    # The life of a request.

    async def serve(self, endpoint: Endpoint, http: web.Request) -> web.StreamResponse:
        """Answer one request, or do to it what the next fault says."""
        account = self.keyholder(self.key_of(http.headers)) or _NOBODY
        call = read_call(endpoint, http, await http.read(), account)
        self.record("request", call)
        armed = self.faults.take(endpoint.name, endpoint.action, call.account.name)
        if armed is None:
            return self._response(self.answer(call))
        self.record("fault", call, f"{armed.fault.what} {armed.fault.when}")
        call.fault, call.stale = armed.fault, armed.snapshots.get(call.account.name)
        return await self._fail(http, call, armed.fault)

    async def unknown(self, http: web.Request) -> web.StreamResponse:
        """Answer a request for a route that does not exist; recorded as endpoint `unknown`."""
        endpoint = Endpoint(method=http.method, path=http.path, name="unknown", action="read", handler=self.answer)
        self.ledger.add("request", origin_of(endpoint, http, b"", ""), Subject(), at_ms=self.now_ms())
        return self._response(self.unknown_route())

    def answer(self, call: Call) -> Answer:
        """Answer as the venue does when nothing goes wrong."""
        call.now_ms = self.now_ms()
        try:
            self._admit(call)
            return call.endpoint.handler(call)
        except Refusal as refusal:
            self.record(refusal.kind, call, refusal.code)
            return refusal.answer

    def _admit(self, call: Call) -> None:
        endpoint = call.endpoint
        if self.behaviour.maintenance and not endpoint.public:
            raise Refusal(self.under_maintenance(), "maintenance")
        if endpoint.scope:
            self._meter_in(endpoint.scope, call)
        if not endpoint.public:
            self.authenticate(call)
            if endpoint.action not in call.account.permissions:
                raise Refusal(self.forbidden(call), "permission")

    def _meter_in(self, scope: str, call: Call) -> None:
        breach = self.take(scope, account=call.account.name, ip=call.ip)
        if breach is not None:
            headers = self._retry_after(breach.wait_s if self.tells_retry_after else None, date=False)
            raise Refusal(with_headers(self.throttled(breach), headers), scope, "throttled")

    def _new_book(self, name: str) -> Book:
        return Book(partial(self._order_changed, name), partial(self._position_changed, name))

    def _order_changed(self, name: str, before: Order | None, after: Order) -> None:
        if self.feed is not None and name in self.accounts:
            self.feed.order_changed(self.accounts[name], before, after)

    def _position_changed(self, name: str, before: Position | None, after: Position | None) -> None:
        if self.feed is not None and name in self.accounts:
            self.feed.position_changed(self.accounts[name], before, after)

    async def _fail(self, http: web.Request, call: Call, fault: Fault) -> web.StreamResponse:
        if fault.when == "before":
            await self._pause(fault.delay_s)
        genuine = self.answer(call) if fault.when == "after" or fault.answers else None
        if fault.when == "after":
            await self._pause(fault.delay_s)
        answer = self._scripted(call, fault, genuine)
        if fault.what == "hang":
            await self._closing.wait()
        if fault.what == "hold" and not self._closing.is_set():
            await self.faults.held()
        await wire.damage(http, fault.what, answer)
        return self._response(answer)

    def _scripted(self, call: Call, fault: Fault, genuine: Answer | None) -> Answer:
        match fault.what:
            case "status":
                return html_answer(fault.status)
            case "throttle":
                headers = self._retry_after(fault.retry_after_s, date=fault.retry_after_form == "date")
                return with_headers(self.throttled(None), headers)
            case "maintenance":
                return self.under_maintenance()
            case "malformed":
                return wire.malformed(genuine or self.error(call, fault.code), fault.body)
            case "answer" | "stale" | "hold" | "truncate" | "reset_after_headers" if genuine:
                return genuine
            case _:
                return self.error(call, fault.code)

    async def _pause(self, delay_s: float) -> None:
        if delay_s > 0:
            try:
                async with asyncio.timeout(delay_s):
                    await self._closing.wait()
            except TimeoutError:
                pass  # the pause is over

    def _retry_after(self, wait_s: float | None, *, date: bool) -> dict[str, str]:
        if wait_s is None:
            return {}
        if date:
            return {"Retry-After": formatdate(self.now_ms() / 1000 + wait_s, usegmt=True)}
        return {"Retry-After": str(math.ceil(wait_s))}

    def _response(self, answer: Answer) -> web.Response:
        headers = dict(answer.headers)
        if self.clock_offset_ms:
            headers["Date"] = formatdate(self.now_ms() / 1000, usegmt=True)
        return web.Response(status=answer.status, body=answer.body, headers=headers)
