"""The control routes of a venue simulator, under `/_sim/`: for tests in another process, and for the demonstration.

    POST   /_sim/faults      a Fault                      → {"armed": n}
    DELETE /_sim/faults                                   → {"armed": 0}
    GET    /_sim/ledger      ?kind=&<entry field>=        → {"entries": […], "count", "arrivals", "kinds"}
                             &wait_s=&count=              waits until `count` entries match; 504 when they do not
                             &limit=                      only the last so many entries
    DELETE /_sim/ledger                                   → {}
    POST   /_sim/positions   a PositionSeed               → the positions
    POST   /_sim/orders      an OrderSeed                 → the orders
    GET    /_sim/truth       ?account=main                → what every order of the account is now, by its id
    POST   /_sim/feed/faults a FeedFault                  → {"armed": n, "struck": n}
    DELETE /_sim/feed/faults                              → {"armed": 0}; ends stalls, too
    GET    /_sim/feed                                     → the sockets that are open, the faults that wait
    POST   /_sim/load        a Load                       → {"events", "seconds"}, at its end
    POST   /_sim/accounts    {"name", "api_key", "api_secret", "permissions"?}
    POST   /_sim/market      a Move                       → {}
    POST   /_sim/clock       {"offset_ms": n}             → {"now_ms", "offset_ms"}
    POST   /_sim/behaviour   switches of the venue        → all of them
    POST   /_sim/reset                                    → {}; back to the seeds
    GET    /_sim/state                                    → clock, switches, faults, every account's book

A body that does not fit is 400, something that is not there 404, both with {"error": …}: of a name that is not known
it lists the known ones. README.md tells it with examples.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar, get_args

import msgspec
from aiohttp import web
from msgspec import Struct

from router.simulator.call import Action
from router.simulator.faults import Fault
from router.simulator.feed import FeedFault, Load
from router.simulator.ledger import Entry, EntryKind
from router.simulator.market import Move
from router.simulator.seeds import OrderSeed, PositionSeed
from router.simulator.venue import VenueSimulator
from schemas.wording import mistakes

PREFIX: Final = "/_sim"
_KINDS: Final[tuple[EntryKind, ...]] = get_args(EntryKind)

T = TypeVar("T", bound=Struct)
Handler = Callable[[web.Request], Awaitable[web.Response]]


class AccountSeed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A credential set to add; no permissions named means all."""

    name: str
    api_key: str
    api_secret: str
    permissions: tuple[Action, ...] = ()


class Clock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the venue's clock is ahead of the machine's."""

    offset_ms: int


class Control:
    """The control routes of one venue."""

    def __init__(self, simulator: VenueSimulator) -> None:
        self._simulator = simulator

    def routes(self) -> Sequence[web.RouteDef]:
        """Return the routes, errors turned into answers."""
        table: list[tuple[str, str, Handler]] = [
            ("POST", "/faults", self._add_fault),
            ("DELETE", "/faults", self._clear_faults),
            ("GET", "/ledger", self._ledger),
            ("DELETE", "/ledger", self._clear_ledger),
            ("POST", "/positions", self._add_positions),
            ("POST", "/orders", self._add_orders),
            ("GET", "/truth", self._truth),
            ("POST", "/feed/faults", self._add_feed_fault),
            ("DELETE", "/feed/faults", self._clear_feed_faults),
            ("GET", "/feed", self._feed),
            ("POST", "/load", self._load),
            ("POST", "/accounts", self._add_account),
            ("POST", "/market", self._move),
            ("POST", "/clock", self._set_clock),
            ("POST", "/behaviour", self._behave),
            ("POST", "/reset", self._reset),
            ("GET", "/state", self._state),
        ]
        return [web.route(method, PREFIX + path, _answering(handler)) for method, path, handler in table]

    async def _add_fault(self, http: web.Request) -> web.Response:
        fault = await _read(http, Fault, "a fault")
        endpoints = self._simulator.endpoints()
        known = ["any", *sorted({point.action for point in endpoints}), *sorted({point.name for point in endpoints})]
        if fault.on not in known:
            raise ValueError(f"on: expected one of {', '.join(known)}, got {fault.on!r}")
        self._check_account(fault.account)
        self._simulator.inject(fault)
        return _json({"armed": len(self._simulator.faults.armed)})

    def _check_account(self, name: str) -> None:
        """Raise `ValueError` for an account that the venue does not have: the fault would never strike."""
        if name and name not in self._simulator.accounts:
            raise ValueError(f"account: expected one of {', '.join(self._simulator.accounts)}, got {name!r}")

    async def _clear_faults(self, http: web.Request) -> web.Response:
        self._simulator.faults.clear()
        return _json({"armed": 0})

    async def _ledger(self, http: web.Request) -> web.Response:
        ledger, query = self._simulator.ledger, dict(http.query)
        wait_s, count, limit = (float(query.pop(name, 0)) for name in ("wait_s", "count", "limit"))
        wanted = query.pop("kind", "")
        kind = msgspec.convert(wanted, EntryKind) if wanted else None
        if unknown := sorted(set(query) - set(Entry.__struct_fields__)):
            raise ValueError(f"the ledger has no {', '.join(unknown)}")
        if wait_s:
            await ledger.wait(kind, count=int(count) or 1, timeout_s=wait_s, **query)
        entries = ledger.select(kind, **query)
        return _json(
            {
                "entries": entries[-int(limit) :] if limit else entries,
                "count": len(entries),
                "arrivals": ledger.arrivals,
                "kinds": ledger.kinds,
            }
        )

    async def _clear_ledger(self, http: web.Request) -> web.Response:
        self._simulator.ledger.clear()
        return _json({})

    async def _add_positions(self, http: web.Request) -> web.Response:
        return _json(self._simulator.add_positions(await _read(http, PositionSeed, "a position")))

    async def _add_orders(self, http: web.Request) -> web.Response:
        return _json(self._simulator.add_orders(await _read(http, OrderSeed, "an order")))

    async def _truth(self, http: web.Request) -> web.Response:
        return _json(self._simulator.truth(http.query.get("account", "main")))

    async def _add_feed_fault(self, http: web.Request) -> web.Response:
        fault = await _read(http, FeedFault, "a fault of a feed")
        self._check_account(fault.account)
        armed = self._simulator.disturb(fault)
        feed = self._simulator.feed
        return _json({"armed": len(feed.faults.armed) if feed else 0, "struck": armed.struck})

    async def _clear_feed_faults(self, http: web.Request) -> web.Response:
        if self._simulator.feed is not None:
            self._simulator.feed.faults.clear()
        return _json({"armed": 0})

    async def _feed(self, http: web.Request) -> web.Response:
        feed = self._simulator.feed
        return _json(feed.state() if feed is not None else {"sockets": [], "faults": []})

    async def _load(self, http: web.Request) -> web.Response:
        return _json(await self._simulator.load(await _read(http, Load, "a load")))

    async def _add_account(self, http: web.Request) -> web.Response:
        seed = await _read(http, AccountSeed, "an account")
        self._simulator.add_account(
            seed.name, api_key=seed.api_key, api_secret=seed.api_secret, permissions=seed.permissions
        )
        return _json({})

    async def _move(self, http: web.Request) -> web.Response:
        self._simulator.move(await _read(http, Move, "a move"))
        return _json({})

    async def _set_clock(self, http: web.Request) -> web.Response:
        self._simulator.clock_offset_ms = (await _read(http, Clock, "a clock")).offset_ms
        return _json({"now_ms": self._simulator.now_ms(), "offset_ms": self._simulator.clock_offset_ms})

    async def _behave(self, http: web.Request) -> web.Response:
        switches = msgspec.json.decode(await http.read(), type=dict[str, Any])
        if wrong := mistakes(self._simulator.behaviour_type, switches, of=self._simulator.venue):
            raise ValueError(wrong)
        return _json(self._simulator.behave(**switches))

    async def _reset(self, http: web.Request) -> web.Response:
        self._simulator.reset()
        return _json({})

    async def _state(self, http: web.Request) -> web.Response:
        simulator = self._simulator
        return _json(
            {
                "venue": simulator.venue,
                "now_ms": simulator.now_ms(),
                "clock_offset_ms": simulator.clock_offset_ms,
                "behaviour": simulator.behaviour,
                "prices": simulator.market.prices,
                "faults": [{"fault": armed.fault, "struck": armed.struck} for armed in simulator.faults.armed],
                "accounts": {
                    name: {
                        "positions": list(account.book.positions.values()),
                        "orders": list(account.book.orders.values()),
                        "fills": account.book.fills,
                    }
                    for name, account in simulator.accounts.items()
                },
            }
        )


def _answering(handler: Handler) -> Handler:
    async def answer(http: web.Request) -> web.Response:
        try:
            return await handler(http)
        except KeyError as error:
            return _json({"error": f"there is no {error.args[0]!r} here"}, status=404)
        except (msgspec.MsgspecError, ValueError) as error:
            return _json({"error": str(error)}, status=400)
        except TimeoutError:
            return _json({"error": "it did not happen in time"}, status=504)

    return answer


async def _read(http: web.Request, kind: type[T], of: str) -> T:
    """Decode a body. Raises `ValueError` that says every mistake, with what is known in its place."""
    body = await http.read()
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        given = msgspec.json.decode(body)
        raise ValueError((mistakes(kind, given, of=of) if isinstance(given, dict) else "") or str(error)) from None


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")
