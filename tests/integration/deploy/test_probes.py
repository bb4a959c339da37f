"""What a cluster asks a pod, while everything that the pod needs is away."""

import pytest

from router.demo.rabbitmq_node import free_ports
from tests.stack import Stack, until

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("command", [("worker",), ("worker", "--feed"), ("feed",)], ids=" ".join)
@pytest.mark.parametrize("away", ["broker", "journal", "venues", "all"])
async def test_a_pod_lives_without_what_it_needs(system: Stack, command: tuple[str, ...], away: str) -> None:
    """A restart cures none of them: /healthz is 200. It is ready only with broker and journal; venues do not count."""
    (nobody,) = free_ports(1)
    if away in {"broker", "all"}:
        system.change("broker", url=f"amqp://127.0.0.1:{nobody}/")
    if away in {"journal", "all"}:
        system.change("journal", url=f"postgresql://u:p@127.0.0.1:{nobody}/d")
    if away in {"venues", "all"}:
        for venue in system.config["venues"].values():
            venue.update(rest_url=f"http://127.0.0.1:{nobody}", ws_url=f"ws://127.0.0.1:{nobody}")
    pod = await system.worker(command=command, wait=False)
    waits = {"broker": "broker", "journal": "waiting for the journal", "all": "waiting for the journal"}
    await until(lambda: (waits.get(away, '"ready"') in pod.said() and "error" in pod.said()) or '"ready"' in pod.said())
    assert (await pod.get("/healthz"))[0] == 200
    assert (await pod.get("/readyz"))[0] == (200 if away == "venues" else 503)
    assert pod.process.returncode is None
