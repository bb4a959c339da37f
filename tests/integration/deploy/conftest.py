"""Brokers that were told nothing but what stands in deploy/rabbitmq."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.newer_debian import FOLDER, SERVER
from router.demo import rabbitmq_node
from tests.integration.deploy.secured_node import SecuredNode

IN_THE_FOLDER = """\
#!/bin/sh
# In a mount namespace of its own, which ends with the program, the folder has this machine's /tmp and /proc.
exec unshare --mount sh -c '
    mount --bind /tmp "$0/tmp" && mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$0" "$@"
' "{folder}" {program} "$@"
"""


def newest_server(directory: Path) -> Path:
    """Return a program that is RabbitMQ 4's server, with its rabbitmqctl beside it."""
    for name in ("rabbitmq-server", "rabbitmqctl"):
        program = directory / name
        program.write_text(IN_THE_FOLDER.format(folder=FOLDER, program=f"/usr/lib/rabbitmq/bin/{name}"))
        program.chmod(0o755)
    return directory / "rabbitmq-server"


@pytest.fixture(scope="module", params=["installed", pytest.param("4", marks=pytest.mark.slow)])
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredNode]:
    """Yield Debian 12's broker, and the one that production runs (`make test-deploy`)."""
    directory = tmp_path_factory.mktemp("broker")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "4":
            if os.geteuid() or not SERVER.exists():
                pytest.skip("needs root, and python3 -m deploy.newer_debian")
            server = newest_server(directory)
            patch.setattr(rabbitmq_node, "find_server", lambda: server)
        with SecuredNode(directory) as node:
            yield node
