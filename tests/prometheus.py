"""A real Prometheus and a real Alertmanager, private to a test: own folder, loopback only, gone with their owner."""

import asyncio
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

from deploy.ensure import alertmanager as find_alertmanager
from router.demo.rabbitmq_node import free_ports
from tests.stack import until

START_LIMIT_S = 30.0
STOP_LIMIT_S = 20.0


class Server:
    """A server program that answers `/-/ready` on a port of its own."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory / name
        self.directory.mkdir()
        (self.port,) = free_ports(1)
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def begin(self, *command: str) -> None:
        """Start the program and wait until it is ready."""
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            await until(self._ready, START_LIMIT_S)
        except TimeoutError:
            raise RuntimeError(f"{self._name} is not ready:\n{(self.directory / 'log').read_text()[-2000:]}") from None

    async def end(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self._process.wait, STOP_LIMIT_S)

    async def get(self, path: str, **query: str) -> Any:
        """Return what it answers, decoded. Raises `aiohttp.ClientError` for a refusal, with its words."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path, params=query) as answer:
            text = await answer.text()
            if answer.status != 200:
                raise aiohttp.ClientError(f"{path} {query}: {text}")
            return json.loads(text)

    async def _ready(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(self.url + "/-/ready") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, OSError):
            return False


class Alertmanager(Server):
    """An Alertmanager with a configuration; an async context manager."""

    def __init__(self, directory: Path, config: str) -> None:
        super().__init__(directory, "alertmanager")
        (self.directory / "alertmanager.yaml").write_text(config)

    async def __aenter__(self) -> Self:
        program = find_alertmanager()
        assert program is not None, "python3 deploy/ensure.py alertmanager"
        await self.begin(
            str(program),
            f"--config.file={self.directory / 'alertmanager.yaml'}",
            f"--storage.path={self.directory}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()

    async def alerts(self) -> dict[str, list[str]]:
        """Return the names of the alerts that it knows of, and the receivers of each."""
        return {
            alert["labels"]["alertname"]: [receiver["name"] for receiver in alert["receivers"]]
            for alert in await self.get("/api/v2/alerts")
        }


class Prometheus(Server):
    """A Prometheus that scrapes workers every second; an async context manager.

    `rules` is the text of a rule file; `alertmanager` is told of what fires.
    """

    def __init__(self, directory: Path, rules: str, alertmanager: Alertmanager | None = None) -> None:
        super().__init__(directory, "prometheus")
        (self.directory / "rules.yaml").write_text(rules)
        self.began_s = time.time()
        managers = [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]}] if alertmanager else []
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "alerting": {"alertmanagers": managers},
            "scrape_configs": [
                {
                    "job_name": "order-router",
                    "file_sd_configs": [{"files": ["targets.json"], "refresh_interval": "1s"}],
                }
            ],
        }
        (self.directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self.scrape({})

    def scrape(self, targets: Mapping[str, int]) -> None:
        """Scrape these from now on: the port of each instance on loopback."""
        groups = [{"targets": [f"127.0.0.1:{port}"], "labels": {"instance": name}} for name, port in targets.items()]
        new = self.directory / "targets.new"
        new.write_text(json.dumps(groups))
        new.replace(self.directory / "targets.json")

    async def __aenter__(self) -> Self:
        program = shutil.which("prometheus")
        assert program is not None, "python3 deploy/ensure.py prometheus"
        await self.begin(
            program,
            f"--config.file={self.directory / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()

    async def values(self, expr: str) -> list[float]:
        """Return the values that an expression has now."""
        found = await self.get("/api/v1/query", query=expr)
        return [float(sample["value"][1]) for sample in found["data"]["result"]]

    async def series(self, expr: str) -> Sequence[dict[str, Any]]:
        """Return every series of an expression since this server began, a point per second."""
        found = await self.get(
            "/api/v1/query_range", query=expr, start=str(int(self.began_s)), end=str(int(time.time())), step="1"
        )
        result: list[dict[str, Any]] = found["data"]["result"]
        return result

    async def firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        found = await self.get("/api/v1/alerts")
        return {alert["labels"]["alertname"] for alert in found["data"]["alerts"] if alert["state"] == "firing"}
