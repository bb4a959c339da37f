"""A private PostgreSQL cluster for the tests: own folder and port, loopback only, durable, gone with its owner."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.ensure import postgresql as find_programs
from router.demo.rabbitmq_node import free_ports

START_LIMIT_S = 60
STOP_LIMIT_S = 30
USER = "order_router"


class PostgreSQL:
    """A cluster that lasts from `start` to `stop`, or through a `with` block. Its address stays over a `restart`."""

    def __init__(self) -> None:
        programs = find_programs()
        if programs is None:
            raise RuntimeError("PostgreSQL is missing. As root: apt-get install --no-install-recommends postgresql")
        self._programs = programs
        self._password = secrets.token_hex(16)
        (self._port,) = free_ports(1)
        self._directory: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the cluster's first database, as its superuser."""
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start the server, on the data it had if it ran before, and return when it takes connections: 1 to 3 s."""
        data = self._prepare() / "data"
        settings = {"listen_addresses": "127.0.0.1", "port": self._port, "unix_socket_directories": ""}
        options = [f"--{name}={value}" for name, value in settings.items()]
        with self._log().open("ab") as log:
            self._server = subprocess.Popen(
                [*_as_server_user("--pdeathsig", "QUIT"), str(self._programs / "postgres"), "-D", str(data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=data,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop us in order
            )
        try:
            self._wait_until_ready(data / "postmaster.pid")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server in order and remove its folder. Stopping twice is fine."""
        self._end(signal.SIGINT)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def kill(self) -> None:
        """End the server as a crash does: no checkpoint, connections cut, recovery from the log at the next `start`."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Kill the server and start it on the same data and port."""
        self.kill()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare(self) -> Path:
        """Make the cluster, unless there is one. It has a password: who may connect may run programs as its user."""
        if self._directory is not None:
            return self._directory
        self._directory = directory = Path(tempfile.mkdtemp(prefix="order-router-postgresql-"))
        password = directory / "password"
        password.write_text(self._password)
        if os.geteuid() == 0:
            user = _server_user()
            for path in (directory, password):
                os.chown(path, user.pw_uid, user.pw_gid)
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", f"--username={USER}"]
        initdb = [str(self._programs / "initdb"), f"--pgdata={directory / 'data'}", f"--pwfile={password}", *options]
        _run([*_as_server_user(), *initdb])
        return directory

    def _wait_until_ready(self, status: Path) -> None:
        """Wait for what the server itself writes for pg_ctl: its process id first, and at last that it is ready."""
        assert self._server is not None
        limit = time.monotonic() + START_LIMIT_S
        while True:
            lines = status.read_text().split() if status.exists() else []
            if lines and lines[0] == str(self._server.pid) and lines[-1] == "ready":
                return
            if self._server.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"PostgreSQL did not start:\n{self._log().read_text()[-2000:]}")
            time.sleep(0.02)

    def _log(self) -> Path:
        assert self._directory is not None
        return self._directory / "server.log"

    def _end(self, how: signal.Signals) -> None:
        if self._server is None:
            return
        self._server.send_signal(how)
        self._server.wait(STOP_LIMIT_S)
        self._server = None


def _server_user() -> pwd.struct_passwd:
    """Return whom the server runs as when we are root, which PostgreSQL refuses to be."""
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _as_server_user(*options: str) -> list[str]:
    """Return the words to put before a command so that it runs as that user, and under these options of setpriv."""
    if os.geteuid() == 0:
        user = _server_user()
        options = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *options)
    return ["setpriv", *options, "--"] if options else []


def _run(command: list[str]) -> None:
    """Run a program to its end; show what it said only if it failed."""
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}")
