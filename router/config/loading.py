"""From tables to a `Config`: every value converted on its own, so that every fault is found at once."""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from router import venues
from router.config.proxy import Proxies
from router.config.settings import (
    LANES,
    BrokerSettings,
    Config,
    HttpSettings,
    JournalSettings,
    SenderPolicy,
    WorkerSettings,
)
from router.config.source import Given, Names, Source, nearest, read_text
from router.config.tls import tls_faults
from router.config.venue_options import option_faults
from router.errors import ConfigError
from router.venue_protocol import Options, Secrets, VenueAdapter

DEFAULT_FILE: Final = "order-router.toml"
FILE_VARIABLE: Final = "ORDER_ROUTER_CONFIG"

_MAX_SECRET_BYTES: Final = 64 * 1024
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_T = TypeVar("_T", bound=Struct)


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read and check the whole configuration.

    `path` left out means the file that `ORDER_ROUTER_CONFIG` names, then `order-router.toml` in the working directory,
    then defaults alone. Relative paths inside are relative to the working directory.
    Raises `ConfigError` with every fault.
    """
    source, file = _read_file(path, environ)
    source.read_environment(environ)
    config = _Loading(source, environ).config(file)
    if source.faults:
        raise ConfigError(source.faults)
    return config


def _read_file(path: Path | None, environ: Mapping[str, str]) -> tuple[Source, str]:
    if path is None and environ.get(FILE_VARIABLE):
        path = Path(environ[FILE_VARIABLE])
    elif path is None and Path(DEFAULT_FILE).is_file():
        path = Path(DEFAULT_FILE)
    if path is None:
        return Source(), ""
    source = Source(str(path))
    try:
        source.read_toml(path.read_bytes().decode())
    except UnicodeDecodeError as error:
        source.faults.append(f"{path}: byte {error.start} is not UTF-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        source.faults.append(f"{path}: cannot be read: {reason}")
    return source, str(path)


class _Loading:
    def __init__(self, source: Source, environ: Mapping[str, str]) -> None:
        self.source = source
        self.environ = environ
        self.secret_files: dict[str, str] = {}

    def config(self, file: str) -> Config:
        venues, accounts = self._venues(), self._accounts()
        config = Config(
            broker=self._table(("broker",), BrokerSettings, secret={"url"}) or BrokerSettings(),
            journal=self._table(("journal",), JournalSettings, secret={"url"}) or JournalSettings(),
            worker=self._table(("worker",), WorkerSettings) or WorkerSettings(),
            http=self._table(("http",), HttpSettings) or HttpSettings(),
            venues=venues,
            accounts=accounts,
            senders={
                names[1]: sender for names in self._under("senders") if (sender := self._table(names, SenderPolicy))
            },
            proxies=self._proxies(),
            file=file,
        )
        self._check_urls(config)
        self._check_lanes(config)
        for name, sender in config.senders.items():
            self._check_sender(name, sender)
        if config.broker.key_file:
            self.secret_files["broker.key_file"] = config.broker.key_file
        return msgspec.structs.replace(config, secret_files=self.secret_files)

    def _proxies(self) -> Proxies:
        try:
            return Proxies.read(self.environ)
        except ConfigError as error:
            self.source.faults.extend(error.lines)
            return Proxies()

    def _under(self, section: str) -> list[Names]:
        return sorted(names for names in self.source.tables if names[0] == section)

    # One table: every key known, every value of its field's type.

    def _table(self, names: Names, kind: type[_T], secret: Iterable[str] = ()) -> _T | None:
        """Build a struct from the keys that are right; `None` when one that must be there is not."""
        table = self.source.tables.get(names, {})
        fields = msgspec.structs.fields(kind)
        secret = frozenset(secret)
        known = [field.name for field in fields] + [f"{name}_{form}" for name in secret for form in ("file", "env")]
        for key in table.keys() - set(known):
            self.source.fault((*names, key), f"unknown key{nearest(key, known)}")
        values: dict[str, Any] = {}
        complete = True
        for field in fields:
            given, there = self._given(names, field.name, field.name in secret)
            value = self._converted((*names, field.name), given, field.type, field.name in secret) if given else None
            if value is not None:
                values[field.name] = value
            elif field.required:
                complete = False
                if not there:
                    forms = f" (or {field.name}_file, {field.name}_env)" if field.name in secret else ""
                    self.source.fault((*names, field.name), f"is missing{forms}")
        return self._built(names, kind, values, secret) if complete else None

    def _built(self, names: Names, kind: type[_T], values: dict[str, Any], secret: frozenset[str]) -> _T | None:
        try:
            return kind(**values)
        except (ValueError, TypeError) as error:  # a struct's own __post_init__
            self.source.fault(
                names, self._without_secrets(str(error), [values[name] for name in secret & values.keys()])
            )
            return None

    def _given(self, names: Names, key: str, secret: bool) -> tuple[Given | None, bool]:
        """Return a key's value, and whether the key was written at all in any of its forms."""
        table = self.source.tables.get(names, {})
        forms = [form for form in (key, f"{key}_file", f"{key}_env") if form in table] if secret else [key]
        # The environment overrides the file, in whichever form either gives the secret.
        forms = [form for form in forms if form in table and table[form].environment] or forms
        if len(forms) > 1:
            self.source.fault((*names, forms[1]), f"is given twice: {' and '.join(forms)}")
        if not forms or forms[0] not in table:
            return None, False
        given = table[forms[0]]
        if forms[0] == key:
            if secret and not given.environment:
                self.secret_files[".".join((*names, key))] = self.source.name
            return given, True
        text = self._fetched((*names, forms[0]), given)
        return (msgspec.structs.replace(given, value=text) if text else None), True

    def _fetched(self, names: Names, given: Given) -> str | None:
        """Read a secret from the file or variable that is named."""
        if not isinstance(given.value, str) or not given.value:
            self.source.fault(names, "must be a text: the name of a file or variable")
            return None
        if names[-1].endswith("_env"):
            if not self.environ.get(given.value):
                self.source.fault(names, "names a variable that is not set, or empty")
            return self.environ.get(given.value)
        try:
            with Path(given.value).open("rb") as file:
                text = file.read(_MAX_SECRET_BYTES + 1).decode().rstrip("\r\n")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            self.source.fault(names, f"the file cannot be read: {reason}")
            return None
        self.secret_files[".".join(names)] = given.value
        if not text or len(text) > _MAX_SECRET_BYTES:
            self.source.fault(names, "the file is empty" if not text else f"has over {_MAX_SECRET_BYTES} bytes")
            return None
        return text

    def _converted(self, names: Names, given: Given, kind: Any, secret: bool) -> Any:
        """Return the value as its field's type, or `None` after adding the fault."""
        if secret and not (isinstance(given.value, str) and given.value.strip()):
            self.source.fault(names, "must be a text in quotes, and not empty")
            return None
        try:
            value = _convert(given, kind)
        except msgspec.ValidationError as error:
            self.source.fault(names, _explained(error, kind))
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self.source.fault(names, "must be a finite number")
            return None
        return value

    @staticmethod
    def _without_secrets(message: str, values: Iterable[Any]) -> str:
        """Cut a message that holds a piece of a value: a venue's code should not quote one, and must not be trusted."""
        pieces = {line.strip() for value in values for line in str(value).splitlines()}
        return "cannot be used" if any(piece and piece in message for piece in pieces) else message

    # Venues and accounts: the venue's own file says what they may hold.

    def _venues(self) -> dict[str, Options]:
        named = {names[:2] for names in self._under("venues")} | {("venues", n[1]) for n in self._under("accounts")}
        found: dict[str, Options] = {}
        for names in sorted(named):
            kind = self._adapter_type(names)
            if kind and (options := self._table(names, kind.options_type)):
                found[names[1]] = options
                self._check_options(names, options, kind)
        return found

    def _adapter_type(self, names: Names) -> type[VenueAdapter] | None:
        if names[1] in venues.names():
            return venues.adapter_type(names[1])
        section = "venues" if names in self.source.tables else "accounts"
        self.source.fault((section, names[1]), f"unknown venue{nearest(names[1], venues.names())}")
        return None

    def _check_options(self, names: Names, options: Options, kind: type[VenueAdapter]) -> None:
        for name, fault in option_faults(options, kind.limits):
            self.source.fault((*names, name), fault)
        for name, value in msgspec.structs.asdict(options).items():
            if name.endswith("_url") and value:
                self._check_url((*names, name), value, ("ws", "wss") if name == "ws_url" else ("http", "https"))

    def _accounts(self) -> dict[str, dict[str, Secrets]]:
        found: dict[str, dict[str, Secrets]] = {}
        for names in self._under("accounts"):
            if names[1] not in venues.names():
                continue  # said by _venues
            kind = venues.adapter_type(names[1])
            if not _ACCOUNT.fullmatch(names[2]):
                self.source.fault(names, "the name of an account is 1 to 64 of A-Z a-z 0-9 _ -")
            every = [field.name for field in msgspec.structs.fields(kind.secrets_type)]
            secrets = self._table(names, kind.secrets_type, secret=every)
            if secrets is None:
                continue
            self._check_keys(names, secrets, kind, found.get(names[1], {}))
            found.setdefault(names[1], {})[names[2]] = secrets
        return found

    def _check_keys(
        self, names: Names, secrets: Secrets, kind: type[VenueAdapter], others: Mapping[str, Secrets]
    ) -> None:
        for other, same in others.items():
            # Two names for one account would break "one open close per position" and count its limits twice.
            if same.api_key == secrets.api_key:
                self.source.fault((*names, "api_key"), f"is the key of {names[1]}/{other} as well")
        try:
            kind(kind.options_type()).signer(secrets)  # type: ignore[call-arg]  # every venue's own options have defaults
        except (ValueError, TypeError) as error:
            self.source.fault(names, self._without_secrets(str(error), msgspec.structs.astuple(secrets)))

    # What spans several keys.

    def _check_urls(self, config: Config) -> None:
        broker = config.broker
        self._check_url(("broker", "url"), broker.url, ("amqp", "amqps"), credentials=True)
        if broker.prefix.startswith("amq."):
            self.source.fault(("broker", "prefix"), 'names that begin with "amq." belong to the broker')
        for name, fault in tls_faults(broker):
            self.source.fault(("broker", name), fault)
        scheme, _, rest = config.journal.url.partition("://")
        if scheme == "sqlite":
            if not rest.startswith("/") or not rest.strip("/"):
                self.source.fault(("journal", "url"), "looks like sqlite:///relative.db or sqlite:////absolute/path.db")
        elif scheme not in {"postgresql", "postgres"} or not rest:
            self.source.fault(("journal", "url"), "must be sqlite:/// or postgresql://")

    def _check_url(self, names: Names, url: str, schemes: tuple[str, ...], *, credentials: bool = False) -> None:
        try:
            parts = urlsplit(url)
            right = parts.scheme in schemes and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:  # its message quotes the URL
            right = False
        if not right or any(character.isspace() for character in url):
            self.source.fault(names, f"must be {' or '.join(f'{scheme}://' for scheme in schemes)} with a host")
        elif not credentials and (parts.username or parts.password or parts.query or parts.fragment):
            self.source.fault(names, "must not hold a user, a query or a fragment")

    def _check_lanes(self, config: Config) -> None:
        for entry in config.worker.lanes:
            venue, dot, lane = entry.partition(".")
            if venue not in venues.names():
                self.source.fault(("worker", "lanes"), f'unknown venue "{venue}"{nearest(venue, venues.names())}')
            elif dot and lane not in LANES:
                self.source.fault(("worker", "lanes"), f'"{entry}": a lane is {venue}.cancel, {venue}.close or {venue}')
            elif not any(names[1] == venue for names in self._under("accounts")):
                self.source.fault(("worker", "lanes"), f"{venue} has no account")

    def _check_sender(self, name: str, sender: SenderPolicy) -> None:
        known = ["/".join(names[1:]) for names in self._under("accounts")]
        for account in sender.accounts:
            if account not in known:
                self.source.fault(("senders", name, "accounts"), f'no account "{account}"{nearest(account, known)}')
        try:
            re.compile(sender.reply_to)
        except (re.error, RecursionError, OverflowError) as error:
            self.source.fault(("senders", name, "reply_to"), f"is no regular expression: {error}")


def _convert(given: Given, kind: Any) -> Any:
    try:
        return msgspec.convert(given.value, kind, strict=not given.environment)
    except msgspec.ValidationError:
        if not (given.environment and isinstance(given.value, str) and given.value.lstrip().startswith(("[", "{"))):
            raise
    return msgspec.convert(read_text(given.value), kind, strict=False)


def _explained(error: msgspec.ValidationError, kind: Any) -> str:
    """Say what was expected. The library quotes a wrong enum value, so that case gets words of its own."""
    text = str(error)
    if text.startswith("Invalid enum value"):
        return f"must be one of {', '.join(_choices(kind))}"
    return text[0].lower() + text[1:]


def _choices(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [f'"{value}"' for value in get_args(kind)]
    return [choice for inner in get_args(kind) for choice in _choices(inner)]
