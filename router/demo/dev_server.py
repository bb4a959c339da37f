"""What `order-router dev` runs: a broker, the simulated venues, and a worker with the feeds, on ports that stay."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

from msgspec import Struct

from router.config import Config
from router.demo.dev_folder import DevFolder
from router.demo.rabbitmq_node import RabbitMQNode
from router.demo.stage import Tell, own_node, working
from router.errors import UserError
from router.simulator import Simulators, venues
from router.telemetry import configure_logging

IDS_A_START: Final = 1_000_000
"""The simulators forget at a restart, the journal does not: a new order must not have the id of an old one."""
LOOK_S: Final = 0.2


class Ports(Struct, frozen=True):
    """Where what listens. The venues take one after the other from `venues` on, in the order of their names."""

    broker: int
    venues: int
    http: int

    def by_venue(self) -> dict[str, int]:
        """Return each venue's port."""
        return {venue: self.venues + number for number, venue in enumerate(venues.names())}

    def check(self) -> None:
        """Raise `UserError` that names the first port that is in use, who wants it, and the option that moves it."""
        wanted = [("RabbitMQ", self.broker, "--broker-port"), ("the worker's metrics", self.http, "--http-port")]
        wanted += [(f"the simulated {venue}", port, "--venues-port") for venue, port in self.by_venue().items()]
        taken: dict[int, str] = {}
        with ExitStack() as stack:
            for who, port, option in wanted:
                if port in taken:
                    raise UserError(f"port {port} is meant for both {taken[port]} and {who}; move one with {option}")
                try:
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
                except OSError as error:
                    why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({_words(error)})"
                    raise UserError(f"port {port}, meant for {who}, {why}; choose another with {option}") from None
                taken[port] = who


def _words(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


class DevServer(Struct, frozen=True, kw_only=True):
    """All that is needed to run, before anything does."""

    folder: DevFolder
    ports: Ports
    node: RabbitMQNode
    simulators: Simulators
    config: Config
    starts: int
    """How often it was started in this folder before."""

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None], on_stop: Callable[[], None]) -> None:
        """Run simulators, worker and feeds beside the node until `stop` is set. `on_stop` is called when it is.

        Raises `UserError` when the node ends by itself, and what the worker raises.
        """
        # RabbitMQ 3.10 forgets queues that were declared within the last second when it is killed.
        hint = f"; {self.folder.log} says why. To begin anew, remove {self.folder.path}"
        async with self.simulators, working(self.config, stop, hint) as worker:
            if not stop.is_set():
                on_ready()
            broken = asyncio.create_task(self._node_ended())
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({worker, broken, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if broken.done():
                raise UserError(f"the RabbitMQ node has ended; its last words are in {self.node.log}")
            broken.cancel()
            on_stop()

    async def _node_ended(self) -> None:
        while not self.node.ended:  # noqa: ASYNC110 - a child that ends sets no event
            await asyncio.sleep(LOOK_S)


@contextmanager
def dev_server(folder: DevFolder, ports: Ports, tell: Tell) -> Iterator[DevServer]:
    """Take the folder, check configuration and ports, and start the broker. Enter it outside of any event loop.

    Raises `UserError` and `ConfigError` before anything runs, and `KeyboardInterrupt` for a signal while it starts.
    """
    with folder.locked():
        ports.check()
        starts = folder.next_start()
        simulators = Simulators(ports=ports.by_venue(), ids_from=starts * IDS_A_START)
        node = RabbitMQNode(folder.rabbitmq, ports.broker)
        config = folder.configured(simulators.config(), broker_url=node.url, http_port=ports.http)
        with folder.new_log().open("a", buffering=1) as log, own_node(node, tell, hurried=True):
            configure_logging(config.secret_values(), level=logging.INFO, stream=log)
            yield DevServer(folder=folder, ports=ports, node=node, simulators=simulators, config=config, starts=starts)


def places(server: DevServer) -> Mapping[str, str]:
    """Return what runs where, and what is kept where."""
    http = f"http://{server.config.http.host}:{server.config.http.port}"
    controls = {venue: urls["control_url"] for venue, urls in server.simulators.urls().items()}
    return {
        "broker": server.config.broker.url,
        **{venue: url.removesuffix("/_sim") for venue, url in controls.items()},
        "worker": f"{http}/metrics",
        "configuration": str(server.config.file),
        "log": str(server.folder.log),
    }
