"""`make setup`: an environment in .venv that holds exactly what uv.lock says.

Needs a python3 of 3.11 or later and nothing else: no pip, no venv module. uv does the work. It is taken from PATH,
else from an earlier run, else fetched by pip, else downloaded as a wheel; what is fetched must have the sha256 that is
written down here.

Nothing to do costs a tenth of a second: a stamp in .venv remembers what the environment was made from.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
STAMP = VENV / "setup.stamp"
PYPI = "https://pypi.org/simple"

UV_OLDEST = (0, 9)
"""The first uv on PATH that is good enough: older ones read neither our lock file nor our build backend."""

UV_VERSION = "0.13.8"
UV_WHEELS = {
    "x86_64": (
        f"uv-{UV_VERSION}-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984",
    ),
    "aarch64": (
        f"uv-{UV_VERSION}-py3-none-manylinux_2_28_aarch64.whl",
        "5337c30bb893b4f9ce0ceb921ba2da0d13f649da644f40ad3bef84083bef0203",
    ),
}


def fail(message: str) -> NoReturn:
    """End with exit status 1 and one message that says what to do."""
    sys.exit(f"setup: {message}")


def index_url(environment: Mapping[str, str]) -> str:
    """Return the package index: a mirror named in the environment (to uv before to pip), else PyPI; no last slash."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if url := environment.get(name, "").strip():
            return url.rstrip("/")
    return PYPI


def wheel_url(page: str, page_url: str, filename: str) -> str | None:
    """Find the address of `filename` on a page of the simple repository API (PEP 503), where links may be relative."""
    from urllib.parse import urljoin

    link = re.search(rf"""href=["']([^"'#]*{re.escape(filename)})["'#]""", page)
    return urljoin(page_url, link[1]) if link else None


def verify(content: bytes, sha256: str, name: str) -> None:
    """Refuse bytes whose checksum is not the pinned one: what is downloaded here is executed next."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        fail(f"{name} has sha256 {found}, not the pinned {sha256}; it was not used. Is that the right package index?")


def is_new_enough(version_line: str) -> bool:
    """Tell from the output of `uv --version` whether that uv will do."""
    version = re.match(r"uv (\d+)\.(\d+)", version_line)
    return version is not None and (int(version[1]), int(version[2])) >= UV_OLDEST


def find_uv() -> str | None:
    """A uv that will do: on PATH, else from an earlier run."""
    for candidate in (shutil.which("uv"), str(TOOLS / "bin/uv")):
        if candidate and os.access(candidate, os.X_OK):
            answer = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
            if answer.returncode == 0 and is_new_enough(answer.stdout):
                return candidate
    return None


def fetch_uv(index: str) -> str:
    """Put the pinned uv into .tools and return its path. pip goes first: it knows this machine's mirrors."""
    if platform.machine() not in UV_WHEELS or sys.platform != "linux":
        fail(f"no uv is pinned for {sys.platform} {platform.machine()}: install uv 0.9 or later and put it on PATH")
    filename, sha256 = UV_WHEELS[platform.machine()]
    print(f"setup: fetching uv {UV_VERSION} …", flush=True)
    TOOLS.mkdir(exist_ok=True)
    if not fetch_with_pip(sha256):
        download(index, filename, sha256)
    return str(TOOLS / "bin/uv")


def fetch_with_pip(sha256: str) -> bool:
    """Let pip, if there is one, fetch and check uv; say whether it did."""
    wanted = TOOLS / "uv.txt"
    wanted.write_text(f"uv=={UV_VERSION} --hash=sha256:{sha256}\n")
    options = ["--quiet", "--upgrade", "--require-hashes", "--only-binary=:all:", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(TOOLS), "--requirement", str(wanted)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def download(index: str, filename: str, sha256: str) -> None:
    """Download the wheel, check it, and take the one program out of it."""
    import io
    import zipfile
    from urllib.request import urlopen

    page_url = f"{index}/uv/"
    try:
        with urlopen(page_url, timeout=60) as page:  # noqa: S310 - the index is https, or what the operator set
            url = wheel_url(page.read().decode(), page_url, filename)
        if url is None:
            fail(f"{page_url} does not offer {filename}: install uv 0.9 or later and put it on PATH")
        with urlopen(url, timeout=60) as wheel:  # noqa: S310 - the same
            content: bytes = wheel.read()
    except OSError as error:
        hint = (
            "apt-get install ca-certificates"
            if "CERTIFICATE" in str(error)
            else "behind a mirror, set UV_DEFAULT_INDEX"
        )
        fail(f"cannot download uv from {page_url}: {error} ({hint})")
    verify(content, sha256, filename)
    target = TOOLS / "bin/uv"
    target.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        target.with_suffix(".new").write_bytes(archive.read(f"uv-{UV_VERSION}.data/scripts/uv"))
    target.with_suffix(".new").chmod(0o755)
    target.with_suffix(".new").replace(target)


def sync(uv: str, index: str) -> None:
    """Make .venv hold what the lock file says; each file must have the lock's checksum, also if it is a mirror's."""
    ours = {"UV_PROJECT_ENVIRONMENT": str(VENV), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"} | ours

    def run(*arguments: str) -> None:
        if subprocess.run([uv, "--quiet", *arguments], cwd=ROOT, env=environment, check=False).returncode:
            fail("uv could not build .venv (its message is above). Behind a package mirror, set UV_DEFAULT_INDEX")

    print("setup: building .venv …", flush=True)
    if index == PYPI:
        run("sync", "--locked", "--python", sys.executable, "--default-index", PYPI)
        return
    # The lock names PyPI, so `sync` would go there; its pins and checksums hold for any index.
    TOOLS.mkdir(exist_ok=True)
    pins, python = str(TOOLS / "requirements.txt"), str(VENV / "bin/python")
    run("venv", "--clear", "--python", sys.executable, str(VENV))
    run("export", "--frozen", "--no-emit-project", "--output-file", pins)
    run("pip", "sync", "--require-hashes", "--python", python, "--default-index", index, pins)
    run("pip", "install", "--no-deps", "--python", python, "--default-index", index, "--editable", ".")


def fingerprint() -> str:
    """Return what .venv depends on: the lock, the project, this program, and the folder (its scripts name it)."""
    digest = hashlib.sha256(str(ROOT).encode())
    for name in ("uv.lock", "pyproject.toml", "deploy/setup.py"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def main() -> None:
    """Bring .venv up to date, or find in a moment that it is."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this is where an older one is turned away
        fail(
            f"Python 3.11 or later is needed; {sys.executable} is {platform.python_version()}: apt-get install python3"
        )
    wanted = fingerprint()
    # python is a link, dead once the system's has been replaced by another version
    whole = all((VENV / "bin" / name).exists() for name in ("python", "order-router"))
    if whole and STAMP.exists() and STAMP.read_text() == wanted:
        return
    index = index_url(os.environ)
    sync(find_uv() or fetch_uv(index), index)
    STAMP.write_text(wanted)


if __name__ == "__main__":
    main()
