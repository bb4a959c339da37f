"""`make peers`: an environment in .tools/peers that holds what the load benchmark's peers are written with.

Apart from .venv, so that no framework we are compared with decides our versions. A stamp makes it a no-op when current.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from deploy.setup import ROOT, TOOLS, fail, fetch_uv, find_uv, index_url

PINS = ROOT / "tests/bench/peers/requirements.txt"
PEERS = TOOLS / "peers"
STAMP = PEERS / "setup.stamp"


def build(uv: str, index: str) -> None:
    """Make the environment anew, with exactly what is pinned."""
    print("peers: building .tools/peers …", flush=True)
    python = str(PEERS / "bin/python")
    for arguments in (
        ("venv", "--clear", "--python", sys.executable, str(PEERS)),
        ("pip", "sync", "--python", python, "--default-index", index, str(PINS)),
    ):
        if subprocess.run([uv, "--quiet", "--no-config", *arguments], check=False).returncode:
            fail(
                "uv could not build .tools/peers (its message is above). Behind a package mirror, set UV_DEFAULT_INDEX"
            )


def fingerprint() -> str:
    """Return what the environment depends on: the pins, this program, and the folder."""
    return hashlib.sha256(str(ROOT).encode() + PINS.read_bytes() + Path(__file__).read_bytes()).hexdigest()


def main() -> None:
    """Bring .tools/peers up to date, or find in a moment that it is."""
    wanted = fingerprint()
    if (PEERS / "bin/python").exists() and STAMP.exists() and STAMP.read_text() == wanted:
        return
    index = index_url(os.environ)
    build(find_uv() or fetch_uv(index), index)
    STAMP.write_text(wanted)


if __name__ == "__main__":
    main()
