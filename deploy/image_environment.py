"""`python3 -m deploy.image_environment dependencies|project FOLDER`: what the image runs, in an environment of its own.

Only deploy/Dockerfile runs this, in two steps, so that a change of our own code leaves the dependencies' layer alone.
The versions and checksums are those of uv.lock, whatever index they come from. All byte code is written here and never
again: the image's root is read-only. It is not checked against the sources' times, which a copy may change.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from deploy.setup import ROOT, fail, fetch_uv, find_uv, index_url

OUR_ENVIRONMENT = {"UV_PYTHON_DOWNLOADS": "never", "PYC_INVALIDATION_MODE": "UNCHECKED_HASH", "UV_LINK_MODE": "copy"}
PINS = Path("/tmp/requirements.txt")  # noqa: S108 - alone in the stage of a build


def uv(*arguments: str) -> None:
    """Run uv in the project's folder, with nothing of the machine's own configuration."""
    command = [find_uv() or fetch_uv(index_url(os.environ)), "--quiet", "--no-config", *arguments]
    if subprocess.run(command, cwd=ROOT, env={**os.environ, **OUR_ENVIRONMENT}, check=False).returncode:
        fail(f"uv {arguments[0]} failed (its message is above). Behind a package mirror, set UV_DEFAULT_INDEX")


def add(folder: Path, *what: str) -> None:
    """Install into the environment and compile it."""
    index = ("--default-index", index_url(os.environ))
    uv("pip", "install", "--python", str(folder / "bin/python"), *index, "--compile-bytecode", *what)


def main() -> None:
    """Do one of the two steps."""
    if len(sys.argv) != 3 or sys.argv[1] not in {"dependencies", "project"}:
        sys.exit("usage: python3 -m deploy.image_environment dependencies|project FOLDER")
    folder = Path(sys.argv[2])
    if sys.argv[1] == "dependencies":
        # python3.11, not python3, which the image that runs it need not have
        uv("venv", "--python", str(Path(sys.executable).resolve()), str(folder))
        uv("export", "--frozen", "--no-default-groups", "--no-emit-project", "--output-file", str(PINS))
        add(folder, "--require-hashes", "--requirement", str(PINS))
    else:
        add(folder, "--no-deps", str(ROOT))


if __name__ == "__main__":
    main()
