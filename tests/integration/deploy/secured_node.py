"""A private broker with deploy/rabbitmq: its rabbitmq.conf, its definitions.json, TLS and client certificates."""

import shutil
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika.abc import AbstractConnection

from deploy.rabbitmq.definitions import VHOST
from router.demo.rabbitmq_node import START_LIMIT_S, RabbitMQNode, free_ports
from tests.integration.deploy.authority import Authority

RABBITMQ = Path(__file__).parents[3] / "deploy/rabbitmq"


class SecuredNode(RabbitMQNode):
    """Runs on the project's own files. What is replaced in them: their places, the port, and `listeners.tcp`.

    A listener without TLS stays for the look whether the node is up; nobody can log in there without a certificate.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.authority = Authority(directory)
        self.journal = directory / "journal.db"
        """For all workers of this broker, which takes no other journal."""
        self.tls_port, self.http_port = free_ports(2)

    def start(
        self, progress: Callable[[str], None] | None = None, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        """Start the node and return when all its listeners are there; the one without TLS comes first."""
        super().start(progress, sleep)
        limit = time.monotonic() + START_LIMIT_S
        for port in (self.tls_port, self.http_port):
            while not _listens(port):
                assert time.monotonic() < limit, f"port {port} does not listen"
                sleep(0.05)

    def config(self, user: str) -> dict[str, Any]:
        """Return the `[broker]` of a router that is this user."""
        files = self.authority.client(user)
        return {
            "url": f"amqps://localhost:{self.tls_port}/{VHOST}?auth=external",
            "ca_file": str(self.authority.certificate),
            "cert_file": str(files.certificate),
            "key_file": str(files.key),
            "declare": False,
        }

    async def connect(self, user: str) -> AbstractConnection:
        """Connect as a user, with the certificate that makes one that user."""
        config = self.config(user)
        context = ssl.create_default_context(cafile=config["ca_file"])
        context.load_cert_chain(config["cert_file"], config["key_file"])
        return await aio_pika.connect(config["url"], ssl_context=context)

    def _prepare(self, directory: Path) -> Path:
        prepared = super()._prepare(directory)
        server = self.authority.server()
        shutil.copy(RABBITMQ / "definitions.json", prepared)
        text = (RABBITMQ / "rabbitmq.conf").read_text()
        for there, here in {
            "/etc/rabbitmq/tls/ca.crt": self.authority.certificate,
            "/etc/rabbitmq/tls/tls.crt": server.certificate,
            "/etc/rabbitmq/tls/tls.key": server.key,
            "/etc/rabbitmq/definitions.json": prepared / "definitions.json",
            "listeners.ssl.default = 5671": f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
            "listeners.tcp = none\n": "",
        }.items():
            assert there in text
            text = text.replace(there, str(here))
        # The HTTP API, which is KEDA's; without TLS here, because the client's side of that is no program of ours.
        text += f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.http_port}\n"
        with (prepared / "rabbitmq.conf").open("a") as file:
            file.write(text)
        (prepared / "enabled_plugins").write_text("[rabbitmq_auth_mechanism_ssl, rabbitmq_management].")
        return prepared

    def _environment(self, server: Path) -> dict[str, str]:
        environment = super()._environment(server)
        environment.pop("RABBITMQ_PLUGINS_DIR", None)  # a choice that leaves ours out
        return environment


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
