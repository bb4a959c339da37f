"""`python3 -m deploy.newer_debian`: RabbitMQ 4 in .tools/rabbitmq-4, which is a folder with a Debian 13 in it.

Debian 12 has RabbitMQ 3.10, and production runs 4. A folder made by debootstrap holds all that a program of another
release needs; it runs in there by chroot. Both need root. Takes a minute and 600 MB, once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from deploy.ensure import install
from deploy.setup import TOOLS, fail

FOLDER = TOOLS / "rabbitmq-4"
SERVER = FOLDER / "usr/lib/rabbitmq/bin/rabbitmq-server"
MIRROR = "http://deb.debian.org/debian"


def main() -> None:
    """Make the folder, whole or not at all, unless it is there."""
    if SERVER.exists():
        return
    if os.geteuid() != 0:
        fail("only root can make .tools/rabbitmq-4 and run what is in it")
    if not shutil.which("debootstrap") and not install("debootstrap"):
        fail("debootstrap is needed. Run: apt-get install --no-install-recommends debootstrap")
    print("newer_debian: making .tools/rabbitmq-4 …", flush=True)
    new = FOLDER.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    TOOLS.mkdir(exist_ok=True)
    command = ["debootstrap", "--variant=minbase", "--include=rabbitmq-server", "trixie", str(new), MIRROR]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout[-2000:])
        fail("debootstrap failed (its last words are above)")
    new.rename(FOLDER)


if __name__ == "__main__":
    main()
