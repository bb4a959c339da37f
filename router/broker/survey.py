"""Look whether the broker is what a worker needs, without leaving anything there.

What is there already is declared once more, which changes nothing and is refused if it is another. A permission is
asked for by a request that RabbitMQ refuses for its content, once it has allowed the user to make it: a consumer whose
priority is no number, a message that expires at no time. So nothing is declared, taken or published, and each refusal
costs a channel (seen on RabbitMQ 3.10 and 4.0, `rabbit_channel.erl`: permissions come first).
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import aiormq
from aio_pika.abc import AbstractConnection
from aiormq.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed
from pamqp.commands import Basic

from router.broker.causes import in_words
from router.broker.connection import BROKEN, CALL_S, close, connect, open_channel, open_underlay
from router.broker.topology import Binding, Declaration, Names, consumed, put, wanted
from router.config import BrokerSettings
from router.errors import BrokerUnavailable

_Asked = Callable[[aiormq.Channel], Awaitable[object]]
_NO_NUMBER: Final = "no number"


class Surveyed(NamedTuple):
    """One object of the broker, and what is wrong with it; `None`: nothing. `missing`: a worker would declare it."""

    name: str
    fault: str | None
    missing: bool = False


async def survey(config: BrokerSettings, lanes: Sequence[tuple[str, str]]) -> AsyncIterator[Surveyed]:
    """Yield every object that a worker with these lanes needs. Raises `BrokerUnavailable` when there is no connection.

    With `declare` the worker brings what is missing, and must be allowed to; without it all of it has to be there.
    """
    connection = await connect(config, "check")
    try:
        look = _Survey(connection, Names(config.prefix), lanes)
        async for one in look.declared() if config.declare else look.there():
            yield one
        async for one in look.used(there=not config.declare):
            yield one
    finally:
        await close(connection)


class _Survey:
    def __init__(self, connection: AbstractConnection, names: Names, lanes: Sequence[tuple[str, str]]) -> None:
        self._connection = connection
        self._names = names
        self._lanes = lanes

    async def declared(self) -> AsyncIterator[Surveyed]:
        """Compare what is there with what is wanted, and ask whether the rest may be declared."""
        for one in wanted(self._names, self._lanes):
            if isinstance(one, Binding):
                # Nothing is bound by this key, so there is nothing to undo; the permissions are those of binding.
                nobodys = uuid.uuid4().hex
                unbind = _unbinding(one.queue, one.exchange, nobodys)
                if (fault := await self._refused(unbind, "bind")) is not None:
                    yield Surveyed(f"binding {one.exchange} → {one.queue}", fault)
                continue
            missing = not await self._is_there(one)
            fault = await (self._forbidden(one) if missing else self._conflict(one))
            yield Surveyed(one.said, fault, missing)

    async def there(self) -> AsyncIterator[Surveyed]:
        """Look for every queue that is used. An exchange cannot be looked for without the right to configure it."""
        names = self._names
        for name in (names.results, names.dead, names.alerts, names.journal, *consumed(names, self._lanes)):
            one = Declaration("queue", name)
            is_there = await self._is_there(one)
            yield Surveyed(one.said, None if is_there else f"there is no {one.said}, and broker.declare is false")

    async def used(self, *, there: bool) -> AsyncIterator[Surveyed]:
        """Ask whether what is consumed may be read, and what is published to may be written to.

        `there`: an exchange that is missing is a fault; a queue has been looked for.
        """
        for name in (self._names.journal, *consumed(self._names, self._lanes)):
            if (fault := await self._refused(_consuming(name), "read")) is not None:
                yield Surveyed(f"queue {name}", fault)
        names = self._names
        for name in ("", names.results, names.dead, names.events, names.alerts):
            if (fault := await self._refused(_publishing(name), "write", there=there)) is not None:
                yield Surveyed(f"exchange {name or 'amq.default'}", fault)

    async def _is_there(self, one: Declaration) -> bool:
        async def look(channel: aiormq.Channel) -> None:
            if one.kind == "queue":
                await channel.queue_declare(one.name, passive=True)
            else:
                await channel.exchange_declare(one.name, passive=True)

        error = await self._error(look)
        return not isinstance(error, ChannelNotFoundEntity)

    async def _forbidden(self, one: Declaration) -> str | None:
        fault = await self._refused(_invalid(one), "configure")
        if fault is None and (alternate := one.arguments.get("alternate-exchange")) is not None:
            fault = await self._refused(_publishing(str(alternate)), "write")
        return fault

    async def _conflict(self, one: Declaration) -> str | None:
        channel = await open_channel(self._connection)
        try:
            async with asyncio.timeout(CALL_S):
                await put(channel, one)
                await channel.close()
        except BROKEN as error:
            return in_words(error, "configure")
        return None

    async def _refused(self, asked: _Asked, permission: str, *, there: bool = False) -> str | None:
        """Ask for something that comes to nothing; return why the user may not ask for it, if so.

        `there`: that it is missing is a reason, too.
        """
        error = await self._error(asked)
        if error is None or isinstance(error, ChannelPreconditionFailed):
            return None
        if isinstance(error, ChannelNotFoundEntity) and not there:
            return None
        return in_words(error, permission)

    async def _error(self, asked: _Asked) -> Exception | None:
        channel = await open_underlay(self._connection)
        try:
            async with asyncio.timeout(CALL_S):
                await asked(channel)
                await channel.close()
        except BROKEN as error:
            if self._connection.is_closed:
                raise BrokerUnavailable(f"the broker ended the connection: {in_words(error)}") from None
            return error
        return None


def _unbinding(queue: str, exchange: str, key: str) -> _Asked:
    return lambda channel: channel.queue_unbind(queue, exchange, key)


def _invalid(one: Declaration) -> _Asked:
    if one.kind == "queue":
        return lambda channel: channel.queue_declare(one.name, durable=True, arguments={"x-expires": _NO_NUMBER})
    odd = {"alternate-exchange": 1}  # which is no name
    return lambda channel: channel.exchange_declare(one.name, exchange_type=one.kind, durable=True, arguments=odd)


def _consuming(queue: str) -> _Asked:
    return lambda channel: channel.basic_consume(queue, _nothing, arguments={"x-priority": _NO_NUMBER})


def _publishing(exchange: str) -> _Asked:
    odd = Basic.Properties(expiration=_NO_NUMBER, user_id=uuid.uuid4().hex)
    return lambda channel: channel.basic_publish(b"", exchange=exchange, routing_key=_NO_NUMBER, properties=odd)


async def _nothing(_: object) -> None:
    """Take nothing: this consumer never comes about."""
