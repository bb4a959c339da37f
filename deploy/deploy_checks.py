"""`python3 -m deploy.deploy_checks`: .tools/deploy-checks, an environment as .venv is, with what checks the chart.

Apart from .venv, because the Helm library alone is 75 MB, and only `make test-deploy` wants it. A stamp makes it a
no-op when current.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from deploy.setup import ROOT, TOOLS, fail, fetch_uv, find_uv, index_url

FOLDER = TOOLS / "deploy-checks"
STAMP = FOLDER / "setup.stamp"
PINS = TOOLS / "deploy-checks.txt"


def build(uv: str, index: str) -> None:
    """Make the environment anew, with the lock's versions and checksums."""
    print("deploy_checks: building .tools/deploy-checks …", flush=True)
    python = str(FOLDER / "bin/python")
    install = ("pip", "install", "--python", python, "--default-index", index)
    for arguments in (
        ("venv", "--clear", "--python", sys.executable, str(FOLDER)),
        ("export", "--frozen", "--group", "deploy-checks", "--no-emit-project", "--output-file", str(PINS)),
        (*install, "--require-hashes", "--requirement", str(PINS)),
        (*install, "--no-deps", "--editable", str(ROOT)),
    ):
        if subprocess.run([uv, "--quiet", "--no-config", *arguments], cwd=ROOT, check=False).returncode:
            fail(
                "uv could not build .tools/deploy-checks (its message is above). Behind a mirror, set UV_DEFAULT_INDEX"
            )


def fingerprint() -> str:
    """Return what the environment depends on: the lock, this program, and the folder."""
    digest = hashlib.sha256(str(ROOT).encode() + Path(__file__).read_bytes())
    for name in ("uv.lock", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def main() -> None:
    """Bring the environment up to date, or find in a moment that it is."""
    wanted = fingerprint()
    if (FOLDER / "bin/python").exists() and STAMP.exists() and STAMP.read_text() == wanted:
        return
    index = index_url(os.environ)
    build(find_uv() or fetch_uv(index), index)
    STAMP.write_text(wanted)


if __name__ == "__main__":
    main()
