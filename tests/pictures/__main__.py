"""`make pictures`: draw every dashboard with real data into grafana/pictures.

An installation of two workers lives through load and faults under a Prometheus; the answers to every query are put
beside the dashboard's own JSON, and Grafana's panel components draw both in a real browser (draw.tsx). No Grafana
server is needed, and none is in any registry.
"""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from deploy.node_packages import folder, node
from deploy.prometheus.render import render
from grafana.dashboards import FRAMES, path
from router.demo.rabbitmq_node import RabbitMQNode, free_ports
from tests.watched import Watched, dashboard_queries, watched

HERE: Final = Path(__file__).parent
PICTURES: Final = path(FRAMES[0]).parent / "pictures"
LIFE_S: Final = 150.0
COLUMN_PX, ROW_PX, GAP_PX, HEAD_PX = 66, 38, 8, 50
"""As in draw.tsx."""
DRAWN_MS: Final = 20_000
PAGE: Final = """<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="draw.css">
<style>body { margin: 0 } button { color: inherit; background: none; border: none; font: inherit; padding: 0 }</style>
<body><div id="root"></div><script src="draw.js"></script></body>"""
EMPTY: Final = ("woff", "woff2", "ttf")
"""Fonts are the browser's own."""

Answers = dict[str, dict[str, dict[str, Any]]]


async def live(installation: Watched) -> None:
    """Live through load, faults and load again."""
    installation.stack.change("venues.gmo_coin", limits={"post": "8/1s"})
    installation.stack.change("worker", resolve_for_s=5)
    first = await installation.stack.worker({"ORDER_ROUTER_CRASH": "after_delivery:kill"})
    await installation.publish(installation.fresh_cancel())
    await first.process.wait()
    await installation.pod("pod-a")
    await installation.pod("pod-b")
    await installation.have_troubles()
    loop, began_s, cut = asyncio.get_running_loop(), asyncio.get_running_loop().time(), False
    while loop.time() - began_s < LIFE_S:
        await installation.load("gmo_coin", "coinbase", "btcturk")
        if not cut and loop.time() - began_s > LIFE_S / 2:
            cut = True
            installation.disturb("btcturk", do="cut")
            await installation.poison()


async def answers() -> tuple[Answers, float, float]:
    """Return what Prometheus answers to every query, by dashboard, panel and letter; and from when to when (s)."""
    found: Answers = defaultdict(lambda: defaultdict(dict))
    with tempfile.TemporaryDirectory() as directory, RabbitMQNode() as broker:
        async with watched(Path(directory), broker, render(1 / 60)) as installation:
            await live(installation)
            prometheus = installation.prometheus
            for name, title, letter, expr in dashboard_queries():
                found[name][title][letter] = await prometheus.series(expr)
    points = [
        point[0]
        for titles in found.values()
        for letters in titles.values()
        for series in letters.values()
        for one in series
        for point in one["values"]
    ]
    return found, min(points), max(points)


def bundle(target: Path) -> None:
    """Make one script of draw.tsx and the packages that it uses."""
    packages = folder(HERE) / "node_modules"
    options = ["--bundle", "--format=iife", "--jsx=automatic", "--loader:.svg=text", "--log-level=warning"]
    options += [f"--loader:.{kind}=empty" for kind in EMPTY]
    options += ['--define:process.env.NODE_ENV="production"', "--define:global=window"]
    command = [str(node()), str(packages / "esbuild/bin/esbuild"), str(HERE / "draw.tsx"), *options]
    environment = {**os.environ, "NODE_PATH": str(packages)}
    subprocess.run([*command, f"--outfile={target / 'draw.js'}"], env=environment, check=True)
    (target / "index.html").write_text(PAGE)


async def draw(site: Path) -> None:
    """Photograph every dashboard in a browser."""
    app = web.Application()
    app.router.add_static("/", site)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    (port,) = free_ports(1)
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        for frame in FRAMES:
            shutil.copytree(site / "shared", site / frame.name, dirs_exist_ok=True)
            await photograph(f"http://127.0.0.1:{port}/{frame.name}/index.html", frame.name)
    finally:
        await runner.cleanup()


async def photograph(url: str, name: str) -> None:
    """Have Chromium draw a page into grafana/pictures. Raises `RuntimeError` with its words if it does not."""
    panels = json.loads((PICTURES.parent / f"{name}.json").read_text())["panels"]
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    size = f"{24 * COLUMN_PX + GAP_PX},{bottom * ROW_PX + HEAD_PX}"
    picture = PICTURES / f"{name}.png"
    picture.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
        options += [f"--user-data-dir={profile}", f"--window-size={size}", f"--virtual-time-budget={DRAWN_MS}"]
        process = await asyncio.create_subprocess_exec(
            "chromium", *options, f"--screenshot={picture}", url, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = await process.communicate()
    if not picture.exists() or b"Uncaught" in said:
        raise RuntimeError(said.decode(errors="replace"))


async def main() -> None:
    """Live, ask, draw."""
    found, from_s, to_s = await answers()
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        site = Path(directory)
        (site / "shared").mkdir()
        bundle(site / "shared")
        for frame in FRAMES:
            (site / frame.name).mkdir()
            content = {
                "dashboard": json.loads(path(frame).read_text()),
                "answers": found[frame.name],
                "from_s": int(from_s),
                "to_s": int(to_s),
            }
            (site / frame.name / "data.json").write_text(json.dumps(content))
        await draw(site)


if __name__ == "__main__":
    asyncio.run(main())
