"""A venue that does what a script says, and a ledger of what really happened there.

The exchange code below is pure, like every venue's; the transport carries its requests to the ledger instead of a
socket. What arrives is processed by the venue even if the sender dies meanwhile.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Mapping
from contextvars import Context
from email.utils import formatdate
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import Struct

from router.errors import MaybeSent, NotSent, SendError
from router.ports import Clock
from router.venue_protocol import (
    Absent,
    Accepted,
    Attempt,
    Done,
    Flow,
    Limit,
    Look,
    NoParams,
    Options,
    Outcome,
    Refused,
    Request,
    Response,
    Retry,
    Secrets,
    SignedRequest,
    Signer,
    Stamp,
    Unknown,
    Working,
)
from schemas.commands import Cancel, Close, Command
from schemas.conditions import Conditions
from schemas.results import OrderState, OrderStatus

Kind = Literal[
    "ok", "taken", "refuse", "ban", "retry", "throttle", "look", "unknown", "reset", "hang", "unsent", "skew"
]


class Answer(Struct, frozen=True, kw_only=True):
    """How the venue treats one request that acts.

    unsent: no connection. reset, hang: the request arrives, no answer does. look, unknown: an answer that does not
    tell. taken: the answer of an `ok`. `executes` says whether those five act, `late_s` how long after their arrival.
    An `ok` always acts; `ban`, `retry`, `throttle` (too many requests) and `skew` (a stamp outside the window) never.
    A `refuse` that `executes` is a venue's lie.
    """

    kind: Kind = "ok"
    executes: bool = False
    late_s: float = 0.0
    after_s: float = 0.0
    takes_s: float = 0.01


class Arrival(Struct, frozen=True, kw_only=True):
    """A request that acts, as it reached the venue."""

    at_us: int
    key: str
    kind: Kind
    stamp_ms: int


class _Asked(Struct, frozen=True):
    """The body of a request that acts. `key` is the close's client order id, or the cancel's command id."""

    key: str
    cancels: str | None = None


class _Told(Struct, frozen=True):
    kind: Kind
    order_id: str | None = None
    after_s: float = 0.0


class _Shown(Struct, frozen=True):
    order_id: str | None = None
    status: OrderStatus = "unknown"
    flat: bool = False


class FakeVenue:
    """The ledger, and the venue's side of the wire."""

    def __init__(self, clock: Clock, *, recognises_repeats: bool = False) -> None:
        self.arrivals: list[Arrival] = []
        self.executed: Counter[str] = Counter()
        """Executions per client order id of a close, or per command id of a cancel."""
        self.executed_us: dict[str, int] = {}
        """When that was first."""
        self.status: dict[str, OrderStatus] = {}
        self.reads = 0
        self.reads_fail = False
        self.reads_vague = False
        """Whether reads are answered, and tell nothing."""
        self.flat = False
        """Whether reads show no position, where they show no order."""
        self.hangs = False
        """Whether it is a black hole: connections are made, nothing arrives, and nothing is answered."""
        self.lied: set[str] = set()
        """The keys of what was executed and called refused."""
        self.ahead_us = 0
        """How far its own clock is ahead of the true time."""
        self.window_us: int | None = None
        """How far a stamp may be from that; `None`: as far as it likes."""
        self.visible_after_s = 0.0
        """How long an execution stays invisible to reads."""
        self.script: deque[Answer] = deque()
        self.scripts: defaultdict[str, deque[Answer]] = defaultdict(deque)
        """Answers for one command alone, by its key."""
        self._clock = clock
        self._recognises_repeats = recognises_repeats
        self._placed: dict[str, tuple[str, int]] = {}

    def rest(self, order_id: str, status: OrderStatus = "working") -> None:
        """Put an order on the book that no command placed."""
        self.status[order_id] = status

    def sent(self, key: str) -> list[Arrival]:
        """Return what arrived for a command."""
        return [arrival for arrival in self.arrivals if arrival.key == key]

    def next_answer(self, request: SignedRequest) -> Answer:
        """Return what is scripted for a request."""
        key = msgspec.json.decode(request.body, type=_Asked).key
        script = self.scripts[key] or self.script
        return script.popleft() if script else Answer()

    def arrive(self, request: SignedRequest, answer: Answer) -> Response:
        """Take a request in; return what the venue would say."""
        asked = msgspec.json.decode(request.body, type=_Asked)
        stamp_ms = int(request.headers["stamp"])
        now_us = self._clock.now_us()
        if self.refuses(stamp_ms):
            answer = Answer(kind="skew")
        self.arrivals.append(Arrival(at_us=now_us, key=asked.key, kind=answer.kind, stamp_ms=stamp_ms))
        if asked.cancels is not None and self.status.get(asked.cancels) != "working" and answer.kind == "ok":
            answer = Answer(kind="look")
        if answer.executes and answer.kind == "refuse":
            self.lied.add(asked.key)
        if answer.kind == "ok" or (answer.executes and not answer.late_s):
            self._execute(asked)
        elif answer.executes:  # whatever becomes of who asked
            asyncio.get_running_loop().call_later(answer.late_s, self._execute, asked, context=Context())
        order_id = asked.cancels or self._placed.get(asked.key, (None, 0))[0]
        return self._respond(_Told(answer.kind, order_id, answer.after_s))

    def refuses(self, stamp_ms: int) -> bool:
        """Say whether a stamp is too far from the venue's own clock."""
        venue_us = self._clock.now_us() + self.ahead_us
        return self.window_us is not None and abs(stamp_ms * 1000 - venue_us) > self.window_us

    def order_of(self, key: str) -> str | None:
        """Return the order that a close placed, as the venue's feed would tell it."""
        return self._placed.get(key, (None, 0))[0]

    def show(self, path: str, stamp_ms: int) -> Response:
        """Answer a read."""
        self.reads += 1
        if self.reads_fail or self.refuses(stamp_ms):
            return Response(503 if self.reads_fail else 400, self._headers(), b"")
        if self.reads_vague:
            return Response(200, self._headers(), b"?")
        kind, _, key = path.strip("/").partition("/")
        order_id: str | None = key
        if kind == "placed":
            order_id, since_us = self._placed.get(key, (None, 0))
            if self._clock.now_us() < since_us + int(self.visible_after_s * 1e6):
                order_id = None
        if order_id is None or order_id not in self.status:
            return self._respond(_Shown(flat=self.flat))
        return self._respond(_Shown(order_id, self.status[order_id]))

    def _respond(self, body: Struct) -> Response:
        return Response(200, self._headers(), msgspec.json.encode(body))

    def _headers(self) -> Mapping[str, str]:
        """Say what time it is, where stamps are looked at."""
        if self.window_us is None:
            return {}
        return {"date": formatdate((self._clock.now_us() + self.ahead_us) / 1e6, usegmt=True)}

    def _execute(self, asked: _Asked) -> None:
        if asked.cancels is not None:
            if self.status.get(asked.cancels) == "working":
                self.status[asked.cancels] = "canceled"
                self._count(asked.key)
            return
        if asked.key in self._placed and self._recognises_repeats:
            return
        self._count(asked.key)
        order_id = f"order-{len(self._placed) + 1}"
        self._placed[asked.key] = (order_id, self._clock.now_us())
        self.status[order_id] = "working"

    def _count(self, key: str) -> None:
        self.executed[key] += 1
        self.executed_us.setdefault(key, self._clock.now_us())


class FakeTransport:
    """Carries requests to fake venues, for one worker. `at` is called wherever that worker might die."""

    def __init__(self, venues: Mapping[str, FakeVenue], at: Callable[[str], Any]) -> None:
        self._venues = venues
        self.at = at

    async def send(
        self, request: SignedRequest, *, timeout_s: float, connect_s: float, before_write: Callable[[], None]
    ) -> Response:
        """See `router.ports.Transport`."""
        name, _, path = request.url.removeprefix("https://").partition("/")
        venue = self._venues[name]
        if request.method == "GET":
            await asyncio.sleep(0.005)
            before_write()
            if venue.hangs:
                await self._hang(timeout_s)
            return venue.show(path, int(request.headers["stamp"]))
        await self.at("connect")
        if venue.hangs:
            before_write()
            await self._hang(timeout_s)
        answer = venue.next_answer(request)
        if answer.kind == "unsent":
            await asyncio.sleep(min(connect_s, answer.takes_s))
            raise NotSent("connection refused")
        before_write()
        response = venue.arrive(request, answer)
        await self.at("written")
        try:
            return await self._answer(response, answer, timeout_s)
        finally:
            await self.at("answered")

    @staticmethod
    async def _hang(timeout_s: float) -> None:
        await asyncio.sleep(timeout_s)
        raise MaybeSent("no answer in time")

    @staticmethod
    async def _answer(response: Response, answer: Answer, timeout_s: float) -> Response:
        takes_s = timeout_s if answer.kind == "hang" else answer.takes_s
        await asyncio.sleep(min(takes_s, timeout_s))
        lost: SendError | None = None
        if takes_s >= timeout_s:
            lost = MaybeSent("no answer in time")
        elif answer.kind == "reset":
            lost = MaybeSent("ClientOSError")
        if lost is not None:
            raise lost
        return response


class FakeAdapter:
    """The fake venue's exchange code."""

    venue: ClassVar[str] = "acme"
    options_type: ClassVar[type[Options]] = Options
    secrets_type: ClassVar[type[Secrets]] = Secrets
    read_pauses: ClassVar[Mapping[int, float]] = {}
    unique_stamps: ClassVar[bool] = False
    params_types: ClassVar[Mapping[str, type[Struct]]] = {"close": NoParams, "cancel": NoParams}
    conditions: ClassVar[Conditions] = {}
    limits: ClassVar[tuple[Limit, ...]] = ()

    def __init__(self, name: str, *, recognises_repeats: bool = False) -> None:
        self._name = name
        self._recognises_repeats = recognises_repeats

    def signer(self, secrets: Secrets) -> Signer:
        """Put the stamp into a header."""

        def sign(request: Request, stamp: Stamp) -> SignedRequest:
            url = f"https://{self._name}{request.path}"
            return SignedRequest(request.method, url, {"stamp": str(stamp.now_ms)}, request.body)

        return sign

    def position(self, command: Close) -> str:
        """One close per position id, or per symbol."""
        return command.position_id or command.symbol

    def request(self, command: Command, client_order_id: str) -> Request | Refused:
        """Build the request; a stop is what this venue does not have."""
        if isinstance(command, Close):
            if command.order_type == "stop":
                return Refused(code="unsupported", message="order_type: no stops here")
            return self._acting("close", _Asked(client_order_id))
        if isinstance(command, Cancel) and command.order_id is not None:
            return self._acting("cancel", _Asked(command.command_id, command.order_id))
        return Refused(code="invalid_command", message="order_id is required")

    def _acting(self, endpoint: str, asked: _Asked) -> Request:
        body = msgspec.json.encode(asked)
        return Request(method="POST", path=f"/{endpoint}", endpoint=endpoint, body=body, scopes=("act",))

    def verdict(self, command: Command, response: Response) -> Outcome:
        """Read the answer."""
        try:
            told = msgspec.json.decode(response.body, type=_Told)
        except msgspec.DecodeError:
            return Unknown(message=f"HTTP {response.status}")
        match told.kind:
            case "ok" | "taken":
                return Accepted(order_id=told.order_id)
            case "refuse":
                return Refused(code="insufficient_position", venue_code="E-1", message="not that much")
            case "retry":
                return Retry(code="venue_maintenance", venue_code="E-2", message="later", after_s=told.after_s)
            case "skew":
                return Retry(code="clock_skew", venue_code="E-7", message="your clock is wrong")
            case "throttle":
                return Retry(code="rate_limited", venue_code="E-5", message="too many", after_s=told.after_s)
            case "ban":
                return Refused(code="account_restricted", venue_code="E-6", alert=True, pause_s=told.after_s)
            case "look":
                return Look(venue_code="E-3", message="look")
            case _:
                return Unknown(venue_code="E-4", message="what?")

    def lookup(self, command: Command, attempt: Attempt) -> Flow:
        """Read the one order in question."""
        closes = isinstance(command, Close)
        key = attempt.client_order_id if closes else getattr(command, "order_id", None)
        if key is None:
            return Unknown(message="the command names nothing to look for")
        path = f"/placed/{key}" if closes else f"/order/{key}"
        response = yield Request(method="GET", path=path, endpoint="order", scopes=("read",))
        try:
            shown = msgspec.json.decode(response.body, type=_Shown)
        except msgspec.DecodeError:
            return Unknown(message=f"HTTP {response.status}")
        if shown.order_id is None:
            return Done() if closes and shown.flat else Absent(message="no such order")
        order = OrderState(status=shown.status)
        if closes:
            return Accepted(order_id=shown.order_id, order=order)
        return self._cancel_sight(shown, order)

    @staticmethod
    def _cancel_sight(shown: _Shown, order: OrderState) -> Done | Refused | Working:
        if shown.status == "working":
            return Working(order_id=shown.order_id or "", order=order)
        if shown.status == "filled":
            return Refused(code="too_late", order_id=shown.order_id, order=order)
        return Done(order_id=shown.order_id, order=order)

    def repeatable(self, command: Command) -> bool:
        """A cancel; a close only where the venue knows it again."""
        return isinstance(command, Cancel) or self._recognises_repeats

    def probe(self) -> Generator[Request, Response, Refused | str]:
        """Read anything."""
        yield Request(method="GET", path="/order/none", endpoint="order")
        return ""
