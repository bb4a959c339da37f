"""A private broker with deploy/rabbitmq: its rabbitmq.conf, its definitions.json, TLS and client certificates."""

import shutil
import ssl
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika.abc import AbstractConnection

from deploy.rabbitmq.definitions import VHOST
from router.demo.rabbitmq_node import RabbitMQNode, free_ports
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
        (self.tls_port,) = free_ports(1)

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
        with (prepared / "rabbitmq.conf").open("a") as file:
            file.write(text)
        (prepared / "enabled_plugins").write_text("[rabbitmq_auth_mechanism_ssl].")
        return prepared

    def _environment(self, server: Path) -> dict[str, str]:
        environment = super()._environment(server)
        environment.pop("RABBITMQ_PLUGINS_DIR", None)  # a choice that leaves ours out
        return environment
