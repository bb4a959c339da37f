"""The folder of `order-router dev`: all that survives a restart, for one server at a time.

order-router.toml   the configuration; what is added to it by hand stays
journal.db          the journal
rabbitmq/           the broker's data
order-router.log    what worker and feeds say; the last start's is order-router.log.1
starts              how often it was started
lock, .gitignore    one server at a time; nothing of it belongs into a repository
"""

import fcntl
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from router.config import Config, load
from router.errors import ConfigError, UserError

HEADER: Final = """\
# Written by `order-router dev`, for development only. Values that are added or changed here stay, but for addresses,
# ports, the journal and the keys of the simulated accounts. When one of those changes, comments are lost.

"""
AT_FIRST: Final[Mapping[str, Any]] = {"worker": {"drain_timeout_s": 3.0}}
"""What stands in a new file besides addresses and keys. Ctrl-C is not to take half a minute."""
OWN_VARIABLES: Final = "ORDER_ROUTER_"


class DevFolder:
    """One folder, made when it is locked. Paths are absolute: the configuration is read from anywhere."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @property
    def config_file(self) -> Path:
        """The configuration."""
        return self.path / "order-router.toml"

    @property
    def log(self) -> Path:
        """What worker and feeds say."""
        return self.path / "order-router.log"

    @property
    def rabbitmq(self) -> Path:
        """The broker's own folder."""
        return self.path / "rabbitmq"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder, and keep it to this process.

        Raises `UserError` when another process has it, and for a folder that holds anything else: a configuration that
        leads to real venues is not to be written over.
        """
        mark = self.path / "dev.lock"
        if self.path.is_dir() and not mark.exists() and any(self.path.iterdir()):
            raise UserError(f"{self.path} holds other files; give --dir a folder of its own")
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with mark.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"another `order-router dev` runs in {self.path}; end it, or give --dir") from None
            (self.path / ".gitignore").write_text("*\n")
            yield

    def next_start(self) -> int:
        """Count this start, and return how many there were before."""
        file = self.path / "starts"
        before = file.read_text().strip() if file.exists() else ""
        number = int(before) if before.isascii() and before.isdigit() else 0
        file.write_text(f"{number + 1}\n")
        return number

    def new_log(self) -> Path:
        """Put the last start's log aside, and return where this one's goes."""
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        return self.log

    def configured(self, venues: Mapping[str, Any], *, broker_url: str, http_port: int) -> Config:
        """Bring the file up to date, and read it as `--config` does, without the variables that would override it.

        `venues` are the sections that lead to the simulators. Raises `ConfigError` for what does not fit in the file.
        """
        owned = {
            "broker": {"url": broker_url},
            "journal": {"url": f"sqlite:///{quote(str(self.path / 'journal.db'))}"},
            "http": {"host": "127.0.0.1", "port": http_port},
            **venues,
        }
        there = self._there()
        wanted = _laid_over(AT_FIRST if there is None else there, owned)
        if wanted != there:
            self._write(HEADER.encode() + msgspec.toml.encode(wanted))
        return load(self.config_file, {name: value for name, value in os.environ.items() if not _overrides(name)})

    def _there(self) -> dict[str, Any] | None:
        try:
            return tomllib.loads(self.config_file.read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:  # not TOML, or not UTF-8
            raise ConfigError([f"{self.config_file}: {error}"]) from None

    def _write(self, content: bytes) -> None:
        """Replace the file at once: nobody reads half of it, and nobody else reads it at all."""
        fresh = self.config_file.with_suffix(".toml.new")
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        fresh.replace(self.config_file)


def overriding() -> list[str]:
    """Return the variables of the environment that would lead commands elsewhere than the file says."""
    return sorted(name for name in os.environ if _overrides(name) and "__" in name)


def _overrides(name: str) -> bool:
    return name.startswith(OWN_VARIABLES)


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `under` with every value of `over` in its place, table by table."""
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _laid_over(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged
