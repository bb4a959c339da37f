"""Build deploy/Dockerfile without a daemon or a registry, and run what came out with a read-only root.

Its base images come from registries. Stand-ins are made of the same Debian packages: for the stage that builds, a
minimal Debian 12; for the one that runs, its Python without anything else, which is how distroless images are made.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from deploy.setup import ROOT

MIRROR = "http://deb.debian.org/debian"
RUNS = "python3.11-minimal,libpython3.11-stdlib,ca-certificates,tzdata,netbase,base-files,libstdc++6"
AUTHORITIES = "/etc/machine-ca.crt"
"""Where the stage that builds finds the authorities that this machine trusts: it may reach the index by a proxy."""

READ_ONLY = """
set -e
root=$1 own=$2 user=$3
shift 3
mount --bind "$root" "$root"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root$own"
mount --bind "$own" "$root$own"
mount -o remount,bind,ro "$root"
exec env -i "$@"
"""
"""What a container's runtime does: the image read-only, a folder of ours in it at its own place, and no environment."""


class Images:
    """Images in a folder of their own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._where = ["--root", str(directory / "images"), "--runroot", str(directory / "run")]

    def run(self, *arguments: str) -> str:
        """Run buildah and return what it printed. Raises `AssertionError` with its words when it fails."""
        command = ["buildah", *self._where, *arguments]
        environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()

    def base(self, name: str, *options: str) -> str:
        """Make an image of Debian's packages and return its name."""
        archive = self._directory / f"{name}.tar"
        subprocess.run(["mmdebstrap", "--quiet", *options, "bookworm", str(archive), MIRROR], check=True)
        container = self.run("from", "scratch")
        self.run("add", "--quiet", container, str(archive), "/")
        if trusted := os.environ.get("SSL_CERT_FILE"):
            self.run("copy", "--quiet", container, trusted, AUTHORITIES)
            self.run("config", "--env", f"SSL_CERT_FILE={AUTHORITIES}", container)
        self.run("commit", "--quiet", "--rm", container, f"localhost/{name}")
        archive.unlink()
        return f"localhost/{name}"

    def build(self, **arguments: str) -> str:
        """Build the project's image and return its name."""
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        files = ["--file=deploy/Dockerfile", "--ignorefile=deploy/Dockerfile.dockerignore"]
        self.run("build", "--quiet", "--format=docker", *files, *given, "--tag=localhost/order-router", ".")
        return "localhost/order-router"

    def inspect(self, image: str) -> dict[str, Any]:
        """Return what the image says of itself."""
        found: dict[str, Any] = json.loads(self.run("inspect", "--type=image", image))["Docker"]
        return found

    def size(self, image: str) -> int:
        """Return the bytes of all layers, unpacked."""
        found: list[dict[str, Any]] = json.loads(self.run("images", "--json", image))
        number, unit = found[0]["size"].split()
        return round(float(number) * {"KB": 1e3, "MB": 1e6, "GB": 1e9}[unit.upper()])

    def mount(self, image: str) -> Path:
        """Return a folder that holds the image's files."""
        return Path(self.run("mount", self.run("from", image)))

    def remove(self) -> None:
        """Leave nothing behind."""
        self.run("rm", "--all")
        shutil.rmtree(self._directory, ignore_errors=True)


def command(root: Path, config: dict[str, Any], own: Path) -> list[str]:
    """Return what to put before the arguments of a container. `own`: a folder that it may write to."""
    user = config["User"]
    return [
        *("unshare", "--mount", "--propagation", "private", "sh", "-c", READ_ONLY, "sh"),
        *(str(root), str(own), user, *config["Env"]),
        # by its path here: from `env -i` on the image's own PATH holds
        *(shutil.which("chroot") or "chroot", f"--userspec={user}", str(root), *config["Entrypoint"]),
    ]
