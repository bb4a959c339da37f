"""A private RabbitMQ node: its own folder, its own ports, loopback only, and gone with the process that started it.

`order-router demo` and the tests run against it. It touches nothing of a RabbitMQ that the machine may run already:
not its folders, its ports, its cookie or its epmd (Erlang's port mapper; otherwise the first Erlang node of a machine
starts one as a daemon, which outlives it).

Two processes: epmd in the foreground, then the node. Both are our children, in sessions of their own, so that Ctrl-C
reaches only us and we end them in order. The kernel kills both should we die without a word (PR_SET_PDEATHSIG: it
watches the *thread* that started them, so call `start` from one that stays). RabbitMQ's scripts only `exec` here, so
the child we start becomes the Erlang machine itself.
"""

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from router.errors import UserError

START_LIMIT_S = 90
STOP_LIMIT_S = 30.0
BOOTING_LIMIT_S = 3.0
CTL_LIMIT_S = 60
LOG_TAIL_LINES = 15

DEBIAN_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
"""The script behind Debian's /usr/sbin/rabbitmq-server, which must be root and would become the user rabbitmq."""

CONFIGURATION = """\
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 1GB
"""

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
"""What an AMQP 0-9-1 client says first (specification, 4.2.2); the answer is a method frame, which begins with 1."""


class RabbitMQNode:
    """A RabbitMQ node that lasts from `start` to `stop`, or through a `with` block.

    `directory` holds everything the node writes; without one it is a temporary folder that `stop` removes. `port` is
    the one for AMQP; without one it is any that is free. The ports stay the same over `kill`, `restart` and a second
    `start`. A node that fails raises UserError with its last words.
    """

    def __init__(self, directory: Path | None = None, port: int | None = None) -> None:
        self._given = directory
        self._temporary = Path(tempfile.gettempdir(), f"order-router-rabbitmq-{secrets.token_hex(8)}")
        self._directory = directory
        free, self._distribution_port, self._epmd_port = free_ports(3)
        self._port = port or free
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The AMQP address, with the user that RabbitMQ makes by itself and admits over loopback only."""
        return f"amqp://guest:guest@127.0.0.1:{self._port}/"

    @property
    def port(self) -> int:
        """The AMQP port on 127.0.0.1."""
        return self._port

    @property
    def directory(self) -> Path:
        """The folder of the running node; its log is node.log there."""
        if self._directory is None:
            raise UserError("the RabbitMQ node is not running")
        return self._directory

    @property
    def pid(self) -> int:
        """The process id of the running node, for faults that need one (SIGSTOP)."""
        if self._node is None:
            raise UserError("the RabbitMQ node is not running")
        return self._node.pid

    @property
    def ended(self) -> bool:
        """Whether the node was started and has ended by itself."""
        return self._node is not None and self._node.poll() is not None

    @property
    def log(self) -> Path:
        """What the running node writes of itself."""
        return _log(self.directory)

    def start(
        self, progress: Callable[[str], None] | None = None, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        """Start the node, on the data it had if it ran before, and return when it takes connections: 3 to 10 s.

        `sleep` is called between looks; what it raises ends the start, and nothing is left behind.
        """
        if self._node is not None and self._node.poll() is None:
            return
        began = time.monotonic()
        server = find_server()
        if _listens(self._port):  # else that server would be taken for ours
            raise UserError(f"port {self._port}, meant for a private RabbitMQ node, is in use")
        if progress:
            progress("starting a private RabbitMQ node …")
        self._directory = self._given or self._temporary
        try:
            directory = self._prepare(self._directory)
            if self._epmd is None:
                command = ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"]
                self._epmd = _spawn(command, self._environment(server), directory)
                self._wait_for(self._epmd, lambda: _listens(self._epmd_port), sleep)
            self._node = _spawn([str(server)], self._environment(server), directory)
            self._wait_for(self._node, lambda: speaks_amqp(self._port), sleep)
        except BaseException:
            # Erlang that has not come up may not hear a SIGTERM until it has.
            self.stop(BOOTING_LIMIT_S)
            raise
        if progress:
            progress(f"RabbitMQ is ready after {time.monotonic() - began:.1f} s")

    def stop(self, limit_s: float = STOP_LIMIT_S) -> None:
        """End the node in order, then its epmd, and remove the temporary folder. Stopping twice is fine.

        What has not ended after so many seconds is killed.
        """
        _end(self._node, signal.SIGTERM, limit_s)
        _end(self._epmd, signal.SIGTERM, limit_s)
        self._node = self._epmd = None
        if self._given is None and self._directory is not None:
            _remove(self._directory)
            self._directory = None

    def kill(self) -> None:
        """End the node as a power cut would. Data and ports stay: `start` takes up from there."""
        _end(self._node, signal.SIGKILL, STOP_LIMIT_S)
        self._node = None

    def restart(self) -> None:
        """Kill the node and start it on the same data and ports."""
        self.kill()
        self.start()

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl --quiet` against the running node and return what it printed: a second or two each time."""
        if self._node is None:
            raise UserError("the RabbitMQ node is not running")
        server = find_server()
        done = subprocess.run(
            [server.with_name("rabbitmqctl"), "--quiet", *arguments],
            env=self._environment(server),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=CTL_LIMIT_S,
            check=False,
        )
        if done.returncode:
            raise UserError(f"rabbitmqctl {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare(self, directory: Path) -> Path:
        """Lay out the folder: a cookie that only we can read, the configuration, no plugins."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        cookie = directory / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(os.urandom(20).hex())
            cookie.chmod(0o400)  # Erlang refuses one that others could read
        (directory / "rabbitmq.conf").write_text(CONFIGURATION)
        (directory / "enabled_plugins").write_text("[].")
        return directory

    def _environment(self, server: Path) -> dict[str, str]:
        """Return all that the scripts read. Nothing is inherited: a stray RABBITMQ_* would lead to another node."""
        directory = self.directory
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(directory),
            "ERL_CRASH_DUMP_SECONDS": "0",  # none: its log says why a node failed
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            # Set, this makes the script exec the node instead of watching over it; nobody listens there.
            "NOTIFY_SOCKET": str(directory / "notify"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_CTL_ERL_ARGS": loopback,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_NODENAME": "order-router@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_PID_FILE": str(directory / "node.pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": loopback,
        }
        if plugins := _core_plugins(server, directory):
            environment["RABBITMQ_PLUGINS_DIR"] = str(plugins)
        return environment

    def _wait_for(
        self, process: subprocess.Popen[bytes], is_ready: Callable[[], bool], sleep: Callable[[float], object]
    ) -> None:
        limit = time.monotonic() + START_LIMIT_S
        while not is_ready():
            if process.poll() is not None:
                raise UserError(f"the RabbitMQ node ended while starting:\n{self._log_tail()}")
            if time.monotonic() > limit:
                raise UserError(f"the RabbitMQ node is not ready after {START_LIMIT_S} s:\n{self._log_tail()}")
            sleep(0.05)

    def _log_tail(self) -> str:
        return "\n".join(_log(self.directory).read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])


def find_server() -> Path:
    """Find rabbitmq-server; raise UserError with what to install when there is none."""
    found = shutil.which(DEBIAN_SERVER) or shutil.which("rabbitmq-server")
    if found is None:
        raise UserError(
            "rabbitmq-server is not installed. As root: apt-get install --no-install-recommends rabbitmq-server; "
            "or set ORDER_ROUTER_BROKER__URL to a broker you have"
        )
    return Path(found)


def free_ports(count: int) -> list[int]:
    """Pick loopback ports that are free now, below the range that Linux gives to outgoing connections (32768 and up).

    In that range a port could be given away while its server restarts, and a client that keeps trying could even
    connect to itself.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def speaks_amqp(port: int) -> bool:
    """Tell whether a broker on this loopback port answers the protocol header as one that is ready does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(PROTOCOL_HEADER)
            return connection.recv(1) == b"\x01"
    except OSError:
        return False


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _core_plugins(server: Path, directory: Path) -> Path | None:
    """Make a plugin folder of just what boots the broker, which reads every plugin it finds, enabled or not.

    Saves 2 of 5 s with 3.10. None, and it reads them all, for a version that is laid out in another way.
    """
    everything = server.resolve().parent.parent / "plugins"
    names = ("rabbit-3.*", "rabbit_common-3.*", "rabbitmq_prelaunch-3.*")
    found = [plugin for name in names for plugin in everything.glob(name) if plugin.is_dir()]
    if len(found) != len(names):
        return None
    chosen = directory / "plugins"
    chosen.mkdir(exist_ok=True)
    for plugin in found:
        if not (chosen / plugin.name).exists():
            (chosen / plugin.name).symlink_to(plugin)
    return chosen


def _log(directory: Path) -> Path:
    return directory / "node.log"


def _spawn(command: list[str], environment: dict[str, str], directory: Path) -> subprocess.Popen[bytes]:
    """Start a child that the kernel kills when we are gone. Debian always has setpriv; else only `stop` ends it."""
    setpriv = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    with _log(directory).open("ab") as log:
        return subprocess.Popen(
            [*setpriv, *command],
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes] | None, how: signal.Signals, limit_s: float) -> None:
    """End a child and wait until it is gone; one that does not listen is killed."""
    if process is None:
        return
    process.send_signal(how)
    process.send_signal(signal.SIGCONT)  # a test may have stopped it, and what is stopped does not end
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove(directory: Path) -> None:
    """Remove a folder; a child of the node may still be writing in it for a moment."""
    for _ in range(50):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.1)
