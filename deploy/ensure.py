"""`ensure.py rabbitmq`, or another of `PACKAGES`: the program is on this machine, or it is said how to get it.

Only the program is wanted. Servers are for private nodes that start and stop with a demo or a test: nothing is
configured, and installing starts no service. Root, or sudo without a password, lets this install Debian's package;
otherwise it prints the one line to run and exits 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

INSTALL = """
set -e
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\\nexit 101\\n' > $policy
    chmod 755 $policy
fi
apt-get --quiet update || :
apt-get --quiet --yes -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
"""
"""A package that brings a service starts it, unless policy-rc.d answers 101 (invoke-rc.d(8)); one that is there stays.
A failing update may be a foreign repository's; whether the package can be had is for the installation to say."""


def rabbitmq() -> Path | None:
    """Find rabbitmq-server: Debian's script that needs no root, else the one on PATH."""
    found = shutil.which("/usr/lib/rabbitmq/bin/rabbitmq-server") or shutil.which("rabbitmq-server")
    return Path(found) if found else None


def postgresql() -> Path | None:
    """Find the folder of the newest PostgreSQL's own programs; Debian keeps one per version, none of it on PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda it: int(it.parent.name), reverse=True)
    if on_path := shutil.which("initdb"):
        folders.append(Path(on_path).resolve().parent)
    whole = (it for it in folders if all(os.access(it / name, os.X_OK) for name in ("initdb", "postgres")))
    return next(whole, None)


def prometheus() -> Path | None:
    """Find promtool, which Debian ships beside prometheus."""
    found = shutil.which("promtool") if shutil.which("prometheus") else None
    return Path(found) if found else None


def alertmanager() -> Path | None:
    """Find the server by Debian's name, else by its own; amtool is beside it."""
    found = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    return Path(found) if found and shutil.which("amtool") else None


def go() -> Path | None:
    """Find the Go compiler, if the library is there as well that tests/languages/go validates with."""
    found = shutil.which("go")
    library = Path("/usr/share/gocode/src/github.com/xeipuuv/gojsonschema")
    return Path(found) if found and library.is_dir() else None


def chromium() -> Path | None:
    """Find Debian's browser."""
    found = shutil.which("chromium")
    return Path(found) if found else None


def buildah() -> Path | None:
    """Find what builds an image without a daemon, if what makes its base images of Debian's packages is there too."""
    found = shutil.which("buildah")
    return Path(found) if found and shutil.which("mmdebstrap") else None


PACKAGES = {
    "chromium": ("chromium", chromium),
    "rabbitmq": ("rabbitmq-server", rabbitmq),
    "postgresql": ("postgresql", postgresql),
    "prometheus": ("prometheus", prometheus),
    "go": ("golang-go golang-github-xeipuuv-gojsonschema-dev", go),
    "alertmanager": ("prometheus-alertmanager", alertmanager),
    "buildah": ("buildah mmdebstrap", buildah),
}


def administrator() -> list[str] | None:
    """The words to put before a command so that root runs it; None when we may not."""
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    if shutil.which("sudo") and subprocess.run([*sudo, "true"], capture_output=True, check=False).returncode == 0:
        return sudo
    return None


def install(packages: str) -> bool:
    """Install Debian's packages as root; what apt said is shown only if it failed."""
    before = administrator()
    if before is None or not shutil.which("apt-get"):
        return False
    print(f"ensure: installing {packages} (from Debian, once; a minute or so) …", flush=True)
    with tempfile.TemporaryFile() as said:
        command = [*before, "sh", "-c", INSTALL, "sh", *packages.split()]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False).returncode
        if status:
            said.seek(0)
            sys.stderr.write(said.read().decode(errors="replace"))
    return status == 0


def ensure(name: str) -> None:
    """Do nothing if the program is there or not needed; else install it or end with what to do."""
    if name == "rabbitmq" and os.environ.get("ORDER_ROUTER_BROKER__URL"):
        return
    packages, find = PACKAGES[name]
    if find() is None and not (install(packages) and find()):
        broker = ", or set ORDER_ROUTER_BROKER__URL to a broker you have" if name == "rabbitmq" else ""
        sys.exit(f"ensure: {name} is needed. Run as root: apt-get install --no-install-recommends {packages}{broker}")


def main() -> None:
    """Ensure every program named on the command line."""
    names = sys.argv[1:]
    if not names or not set(names) <= PACKAGES.keys():
        print(f"usage: ensure.py {'|'.join(PACKAGES)} …", file=sys.stderr)
        sys.exit(2)
    for name in names:
        ensure(name)


if __name__ == "__main__":
    main()
