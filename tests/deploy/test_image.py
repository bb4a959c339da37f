"""The image, built from deploy/Dockerfile, and a worker in it: no shell, not root, and nothing of it can be written."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from deploy.setup import ROOT
from tests.deploy.images import RUNS, Images, command
from tests.sender import Sender, close
from tests.stack import Stack, stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("buildah") or not shutil.which("mmdebstrap"),
        reason="needs root, buildah and mmdebstrap (deploy/ensure.py buildah)",
    ),
]

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGEST = 180_000_000


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """Yield the built image and its stand-in bases."""
    made = Images(tmp_path_factory.mktemp("images"))
    try:
        made.build(
            BUILD_IMAGE=made.base("build", "--variant=minbase"),
            RUN_IMAGE=made.base("run", "--variant=extract", f"--include={RUNS}"),
            VERSION="1.2.3",
            COMMIT=COMMIT,
        )
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def config(images: Images) -> dict[str, Any]:
    """Return what a container's runtime is told."""
    found: dict[str, Any] = images.inspect("localhost/order-router")["config"]
    return found


@pytest.fixture(scope="module")
def root(images: Images) -> Path:
    """Return the image's files."""
    return images.mount("localhost/order-router")


def test_hadolint_finds_no_fault() -> None:
    """One rule is passed over, in the file, with its reason beside it."""
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, ROOT / "deploy/Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_says_what_it_is(config: dict[str, Any]) -> None:
    """Version and commit; not root, by number; and it starts without a shell."""
    labels = config["Labels"]
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert labels["org.opencontainers.image.revision"] == COMMIT
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/opt/order-router/bin/order-router"]
    assert config["Cmd"] == ["worker"]


def test_it_is_small(images: Images) -> None:
    """deploy/README.md states the size."""
    size = images.size("localhost/order-router")
    print(f"image: {size / 1e6:.0f} MB")
    assert size < LARGEST


def test_it_holds_what_runs_and_nothing_else(root: Path) -> None:
    """No shell, no installer, no test, no checkout."""
    programs = {
        path.name for folder in ("bin", "usr/bin", "opt/order-router/bin") for path in (root / folder).glob("*")
    }
    assert programs & {"sh", "bash", "dash", "apt", "apt-get", "pip", "uv"} == set()
    (packages,) = root.glob("opt/order-router/lib/python3*/site-packages")
    assert {"router", "schemas"} <= {path.name for path in packages.iterdir()}
    assert {"tests", "deploy", "pytest", "mypy"} & {path.name for path in packages.iterdir()} == set()
    assert not (root / "src").exists()


def test_all_of_it_is_compiled(root: Path) -> None:
    """Nothing can be written there later."""
    sources = [path for path in root.glob("opt/order-router/lib/python3*/site-packages/**/*.py") if path.stat().st_size]
    cached = [path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc" for path in sources]
    assert len(cached) > 1000
    assert [str(path.relative_to(root)) for path in cached if not path.exists()] == []


@pytest_asyncio.fixture
async def system(tmp_path: Path, rabbitmq: Any, root: Path, config: dict[str, Any]) -> AsyncIterator[Stack]:
    """Yield broker and simulators, with workers that run in the image; the journal's folder alone can be written."""
    async with stack(tmp_path, rabbitmq.url) as made:
        os.chown(tmp_path, 65532, 65532)
        made.program = command(root, config, tmp_path)
        yield made


async def test_a_worker_runs_in_it(system: Stack) -> None:
    """It consumes, closes a position and answers; names its commit; and ends in order when asked."""
    worker = await system.worker()
    async with Sender(system.broker_url, system.prefix) as sender:
        assert (await sender.ask(close()))["outcome"] == "accepted"
    assert f'commit="{COMMIT}"' in (await worker.get("/metrics"))[1]
    assert await worker.terminate() == 0


async def test_it_writes_nothing_but_its_journal(system: Stack, root: Path) -> None:
    """Not as that user, and not into the image."""
    worker = await system.worker()
    status = Path(f"/proc/{worker.pid}/status").read_text()
    assert "Uid:\t65532\t65532" in status
    mounts = Path(f"/proc/{worker.pid}/mountinfo").read_text().splitlines()
    image = next(line.split() for line in mounts if line.split()[4] == "/")
    assert "ro" in image[5].split(",")
    written = {path.name.partition(".")[0] for path in system.directory.iterdir()}
    assert {name for name in written if not name.startswith("worker-") and len(name) != 8} == {"journal"}
