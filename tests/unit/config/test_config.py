"""The configuration: what is taken, what is refused, where a fault is said to be, and that no secret is ever quoted."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.config import Config, load, masked, parse_rate
from router.errors import ConfigError

Loaded = Callable[..., Config]
CANARY = "canary7f3a9c1e"
ACCOUNT = f'[accounts.gmo_coin.main]\napi_key = "{CANARY}-key"\napi_secret = "{CANARY}-secret"\n'


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    """Load a TOML text from `c.toml`, with an environment."""

    def load_text(text: str | bytes, environ: Mapping[str, str] | None = None) -> Config:
        file = tmp_path / "c.toml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(file, environ or {})

    return load_text


@pytest.fixture
def faults(loaded: Loaded) -> Callable[..., list[str]]:
    """Return the lines of the ConfigError, without the folder."""

    def lines(text: str | bytes, environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            loaded(text, environ)
        assert CANARY not in str(caught.value)
        assert CANARY not in repr(caught.value)
        assert caught.value.__cause__ is None
        return [line[line.index("c.toml") :] if "c.toml" in line else line for line in caught.value.lines]

    return lines


def test_without_file_and_environment_the_defaults_are_the_contracts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every default stands in the contract, section 5."""
    monkeypatch.chdir(tmp_path)
    config = load(None, {})
    assert (config.broker.url, config.broker.prefix) == ("amqp://guest:guest@127.0.0.1:5672/", "orders")
    assert (config.broker.prefetch, config.broker.heartbeat_s, config.broker.declare) == (64, 10, True)
    assert (config.journal.url, config.journal.retention_days) == ("sqlite:///order-router.db", 30)
    assert (config.worker.lanes, config.worker.drain_timeout_s, config.worker.max_horizon_s) == ((), 25, 300)
    assert (config.worker.resolve_for_s, config.worker.lease_s) == (600, 15)
    assert (config.http.host, config.http.port) == ("127.0.0.1", 9464)
    assert (config.accounts, config.venues, config.senders, config.lanes(), config.file) == ({}, {}, {}, (), "")


def test_the_file_is_the_option_then_the_variable_then_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--config` wins over ORDER_ROUTER_CONFIG, which wins over order-router.toml (contract, section 5)."""
    monkeypatch.chdir(tmp_path)
    for name in ("option", "variable"):
        (tmp_path / f"{name}.toml").write_text(f'[broker]\nprefix = "{name}"\n')
    environ = {"ORDER_ROUTER_CONFIG": "variable.toml"}
    (tmp_path / "order-router.toml").write_text('[broker]\nprefix = "directory"\n')
    assert load(None, {}).broker.prefix == "directory"
    assert load(None, environ).broker.prefix == "variable"
    assert load(Path("option.toml"), environ).broker.prefix == "option"


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was named must be read; defaults instead would be a surprise."""
    monkeypatch.chdir(tmp_path)
    for path, environ in ((Path("no.toml"), {}), (None, {"ORDER_ROUTER_CONFIG": "no.toml"}), (Path(), {})):
        with pytest.raises(ConfigError, match="cannot be read"):
            load(path, environ)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[broker]\nprefetch = 0", "c.toml:2: broker.prefetch: expected `int` >= 1"),
        ("[broker]\nprefetch = 65536", "c.toml:2: broker.prefetch: expected `int` <= 65535"),
        ('[broker]\n\nheartbeat_s = "10"', "c.toml:3: broker.heartbeat_s: expected `int`, got `str`"),
        ('[broker]\nprefix = "a b"', "c.toml:2: broker.prefix: expected `str` matching regex"),
        ('[broker]\nprefix = "amq.x"', 'c.toml:2: broker.prefix: names that begin with "amq."'),
        ('[broker]\nca_file = "/x"', "c.toml:2: broker.ca_file: needs an amqps:// url"),
        ('[broker]\nurl = "amqps://h"\nca_file = "/no/x"', "c.toml:3: broker.ca_file: there is no file /no/x"),
        (
            f'[broker]\nurl = "amqps://h"\nkey_file = "{os.devnull}"',
            "c.toml:3: broker.key_file: cert_file and key_file belong together",
        ),
        (f'[broker]\nurl = "http://u:{CANARY}@h"', "c.toml:2: broker.url: must be amqp:// or amqps:// with a host"),
        (f'[broker]\nurl = "amqp://u:{CANARY}@h:99999"', "c.toml:2: broker.url: must be amqp://"),
        (f'[broker]\nurl = "amqp://u:{CANARY}@[::"', "c.toml:2: broker.url: must be amqp://"),
        ("[broker]\nurl = 5", "c.toml:2: broker.url: must be a text in quotes"),
        (f'[journal]\nurl = "mysql://u:{CANARY}@h"', "c.toml:2: journal.url: must be sqlite:/// or postgresql://"),
        ('[journal]\nurl = "sqlite://x.db"', "c.toml:2: journal.url: looks like sqlite:///relative.db"),
        ("[journal]\nretention_days = 0", "c.toml:2: journal.retention_days: expected `int` >= 1"),
        ("[worker]\nmax_horizon_s = 0", "c.toml:2: worker.max_horizon_s: expected `float` > 0"),
        ("[worker]\ndrain_timeout_s = nan", "c.toml:2: worker.drain_timeout_s: "),
        ("[worker]\nresolve_for_s = inf", "c.toml:2: worker.resolve_for_s: "),
        ('[worker]\naddress = "10.0.0.1 or so"', "c.toml:2: worker.address: "),
        ("[worker]\nlease_s = -1", "c.toml:2: worker.lease_s: expected `float` > 0"),
        ("[http]\nport = 65536", "c.toml:2: http.port: expected `int` <= 65535"),
        ("[http]\nport = true", "c.toml:2: http.port: expected `int`, got `bool`"),
        ("[broker]\nprefetc = 1", 'c.toml:2: broker.prefetc: unknown key; did you mean "prefetch"?'),
        ("[brokr]\nprefix = 1", 'c.toml:1: brokr: unknown section; did you mean "broker"?'),
        ("broker = 1", "c.toml:1: broker: must be a table"),
        ('[venues]\ngmo_coin = "x"', "c.toml:2: venues.gmo_coin: must be a table"),
        ("[venues.gmo_con]", 'c.toml:1: venues.gmo_con: unknown venue; did you mean "gmo_coin"?'),
        ("[venues.gmo_coin]\ntimeout = 1", 'c.toml:2: venues.gmo_coin.timeout: unknown key; did you mean "timeout_s"?'),
        ("[venues.gmo_coin]\ntimeout_s = 0", "c.toml:2: venues.gmo_coin.timeout_s: must be above 0"),
        ("[venues.gmo_coin]\nquarantine_s = -1", "c.toml:2: venues.gmo_coin.quarantine_s: must not be below 0"),
        (
            "[venues.gmo_coin]\nquarantine_s = 64.9",
            "c.toml:2: venues.gmo_coin.quarantine_s: is 64.9; it must be at least 65, which is timeout_s (5) + ",
        ),
        (
            "[venues.gmo_coin]\nquarantine_s = 9\ntimeout_s = 5\ntimestamp_window_s = 4.5",
            "c.toml:2: venues.gmo_coin.quarantine_s: is 9; it must be at least 9.5, which is timeout_s (5) + ",
        ),
        ("[venues.gmo_coin]\ntimeout_s = inf", "c.toml:2: venues.gmo_coin.timeout_s: must be a finite number"),
        ('[venues.gmo_coin]\nrest_url = "ftp://x"', "c.toml:2: venues.gmo_coin.rest_url: must be http:// or https://"),
        ('[venues.gmo_coin]\nws_url = "https://x"', "c.toml:2: venues.gmo_coin.ws_url: must be ws:// or wss://"),
        (
            f'[venues.gmo_coin]\nrest_url = "https://u:{CANARY}@x"',
            "c.toml:2: venues.gmo_coin.rest_url: must not hold a user, a query or a fragment",
        ),
        ('[venues.gmo_coin]\nlimits = "of"', 'c.toml:2: venues.gmo_coin.limits: must be one of "off"'),
        (
            '[venues.gmo_coin]\nlimits = { pots = "20/1s" }',
            'c.toml:2: venues.gmo_coin.limits: unknown scope "pots"; did you mean "post"?',
        ),
        ('[venues.gmo_coin]\nlimits = { post = "20" }', "c.toml:2: venues.gmo_coin.limits: post: a rate looks like"),
        (
            '[venues.nami]\nplacement = "bdy"',
            'c.toml:2: venues.nami.placement: must be one of "body", "query", "both"',
        ),
        ("[accounts.gmo_coin.main]\n", "c.toml:1: accounts.gmo_coin.main.api_key: is missing (or api_key_file"),
        (
            '[accounts.gmo_con.main]\napi_key = "x"',
            'c.toml:1: accounts.gmo_con: unknown venue; did you mean "gmo_coin"',
        ),
        (
            f"{ACCOUNT}api_secrt = 1",
            'c.toml:4: accounts.gmo_coin.main.api_secrt: unknown key; did you mean "api_secret"',
        ),
        (ACCOUNT.replace("main", '"a b"'), "c.toml:1: accounts.gmo_coin.a b: the name of an account is"),
        (
            f'[accounts.gmo_coin.main]\napi_key = "k"\napi_secret = ["{CANARY}"]',
            "c.toml:3: accounts.gmo_coin.main.api_secret: must be a text in quotes",
        ),
        (
            f'{ACCOUNT}api_secret_file = "/x"',
            "c.toml:4: accounts.gmo_coin.main.api_secret_file: is given twice: api_secret and api_secret_file",
        ),
        (
            '[accounts.gmo_coin.main]\napi_key = "k"\napi_secret_file = "/no/file"',
            "c.toml:3: accounts.gmo_coin.main.api_secret_file: the file cannot be read: No such file",
        ),
        (
            '[accounts.gmo_coin.main]\napi_key = "k"\napi_secret_env = "UNSET"',
            "c.toml:3: accounts.gmo_coin.main.api_secret_env: names a variable that is not set",
        ),
        (
            f'[accounts.coinbase.main]\napi_key = "k"\napi_secret = "{CANARY}"',
            "c.toml:1: accounts.coinbase.main: ",
        ),
        (
            f"{ACCOUNT}{ACCOUNT.replace('main', 'other')}",
            "c.toml:5: accounts.gmo_coin.other.api_key: is the key of gmo_coin/main as well",
        ),
        ('[worker]\nlanes = ["gmo_con"]', 'c.toml:2: worker.lanes: unknown venue "gmo_con"; did you mean "gmo_coin"?'),
        ('[worker]\nlanes = ["gmo_coin.x"]', 'c.toml:2: worker.lanes: "gmo_coin.x": a lane is gmo_coin.cancel'),
        ('[worker]\nlanes = ["gmo_coin"]', "c.toml:2: worker.lanes: gmo_coin has no account"),
        ("[worker]\nlanes = [1]", "c.toml:2: worker.lanes: expected `str`, got `int`"),
        (
            f'{ACCOUNT}[senders.a]\naccounts = ["gmo_coin/mian"]',
            'c.toml:5: senders.a.accounts: no account "gmo_coin/mian"; did you mean "gmo_coin/main"?',
        ),
        ("[senders.a]", "c.toml:1: senders.a.accounts: is missing"),
        (
            '[senders.a]\naccounts = []\ncommands = ["clos"]',
            'c.toml:3: senders.a.commands: must be one of "close", "cancel", "close_all", "cancel_all"',
        ),
        ('[senders.a]\naccounts = []\nreply_to = "("', "c.toml:3: senders.a.reply_to: is no regular expression"),
    ],
)
def test_a_fault_names_its_key_and_line(faults: Callable[..., list[str]], text: str, line: str) -> None:
    """Every rule has one line that says file, line and key."""
    found = faults(text)
    assert any(fault.startswith(line) for fault in found), found


def test_every_fault_is_told_at_once(faults: Callable[..., list[str]]) -> None:
    """Nobody has to start the program once per mistake."""
    text = '[broker]\nprefetch = 0\nurl = "x"\nfoo = 1\n[http]\nport = -1\n[venues.x]\n[accounts.gmo_coin.main]\n'
    found = faults(text, {"ORDER_ROUTER_WORKER__LEASE_S": "soon", "ORDER_ROUTER_FOO__BAR": "1"})
    for key in (
        "prefetch",
        "broker.url",
        "foo",
        "http.port",
        "venues.x",
        "api_key",
        "api_secret",
        "lease_s",
        "FOO__BAR",
    ):
        assert any(key in line for line in found), key


@pytest.mark.parametrize(
    "text",
    [
        f"[broker]\nurl = {CANARY}",
        f'[broker\nurl = "{CANARY}"',
        f'{CANARY} = "{CANARY}',
        f'a = """{CANARY}',
        f'{ACCOUNT}api_secret = "{CANARY}"',
        f'x = "{CANARY}\\q"',
        f"x = '{CANARY}\n'",
        "x = " + "[" * 5000,
        "x = " + "9" * 5000,
    ],
)
def test_broken_toml_is_placed_but_not_quoted(faults: Callable[..., list[str]], text: str) -> None:
    """An excerpt around a syntax error may be a secret."""
    (line,) = faults(text)
    assert "this is not valid TOML" in line


def test_a_file_that_is_not_text_is_refused(faults: Callable[..., list[str]]) -> None:
    """TOML is UTF-8."""
    assert faults(b'[broker]\nurl = "\xff"') == ["c.toml: byte 16 is not UTF-8"]


def test_lines_are_counted_past_multi_line_values(faults: Callable[..., list[str]]) -> None:
    """What looks like a key inside a text or list is none."""
    text = "[accounts.coinbase.main]\napi_key = \"\"\"\nprefetch = 1\n[http]\n\"\"\"\napi_secret = '''x\n'''\n"
    found = faults(f"{text}[worker]\nlanes = [\n  # lanes = 1\n  1,\n]\n[broker]\nprefetch = 0")
    assert any(line.startswith("c.toml:9: worker.lanes:") for line in found), found
    assert any(line.startswith("c.toml:14: broker.prefetch:") for line in found), found


@pytest.mark.parametrize(
    ("variable", "text", "read"),
    [
        ("BROKER__URL", "amqp://h/", lambda config: config.broker.url == "amqp://h/"),
        ("BROKER__PREFETCH", "7", lambda config: config.broker.prefetch == 7),
        ("BROKER__DECLARE", "false", lambda config: config.broker.declare is False),
        ("WORKER__LEASE_S", "2.5", lambda config: config.worker.lease_s == 2.5),
        ("WORKER__LANES", '["gmo_coin.close"]', lambda config: config.worker.lanes == ("gmo_coin.close",)),
        ("WORKER__LANES", "['gmo_coin']", lambda config: config.worker.lanes == ("gmo_coin",)),
        ("VENUES__GMO_COIN__REST_URL", "http://x", lambda config: config.venues["gmo_coin"].rest_url == "http://x"),
        ("VENUES__GMO_COIN__LIMITS", "off", lambda config: config.venues["gmo_coin"].limits == "off"),
        ("VENUES__GMO_COIN__LIMITS", '{"get":"1/1s"}', lambda c: c.venues["gmo_coin"].limits == {"get": "1/1s"}),
        ("VENUES__GMO_COIN__LIMITS", '{ get = "1/1s" }', lambda c: c.venues["gmo_coin"].limits == {"get": "1/1s"}),
        ("VENUES__GMO_COIN__LIMITS__GET", "1/1s", lambda c: c.venues["gmo_coin"].limits["get"] == "1/1s"),
        ("VENUES__NAMI__PLACEMENT", "query", lambda config: config.venues["nami"].placement == "query"),
        ("ACCOUNTS__GMO_COIN__MAIN__API_KEY", "new", lambda c: c.accounts["gmo_coin"]["main"].api_key == "new"),
        ("SENDERS__A", '{"accounts": ["gmo_coin/main"]}', lambda c: c.senders["a"].accounts == ("gmo_coin/main",)),
    ],
)
def test_the_environment_overrides(loaded: Loaded, variable: str, text: str, read: Callable[[Config], bool]) -> None:
    """Every key can be set by ORDER_ROUTER_<SECTION>__<KEY>, as text of its own type."""
    assert read(loaded(ACCOUNT, {f"ORDER_ROUTER_{variable}": text}))


def test_the_environment_finds_names_that_a_variable_cannot_spell(loaded: Loaded) -> None:
    """A variable has no lower case and no hyphen; a table of the file that only differs by those is meant."""
    text = ACCOUNT.replace("main", "Desk-1")
    config = loaded(text, {"ORDER_ROUTER_ACCOUNTS__GMO_COIN__DESK_1__API_KEY": "other"})
    assert {name: secrets.api_key for name, secrets in config.accounts["gmo_coin"].items()} == {"Desk-1": "other"}


@pytest.mark.parametrize(
    ("variable", "text", "line"),
    [
        ("BROKER__PREFETCH", CANARY, "ORDER_ROUTER_BROKER__PREFETCH: broker.prefetch: expected `int`"),
        ("WORKER__LANES", f"[{CANARY}", "ORDER_ROUTER_WORKER__LANES: worker.lanes: expected `array`"),
        ("BROKER_URL", f"amqp://u:{CANARY}@h", "ORDER_ROUTER_BROKER_URL: two underscores stand between"),
        ("BROKR__URL", "x", 'ORDER_ROUTER_BROKR__URL: unknown section brokr; did you mean "broker"?'),
        ("BROKER__", "x", "ORDER_ROUTER_BROKER__: names no key"),
        ("BROKER__URLL", "x", 'ORDER_ROUTER_BROKER__URLL: broker.urll: unknown key; did you mean "url"?'),
        ("ACCOUNTS__GMO_COIN__MAIN__A__B__C", "x", "ORDER_ROUTER_ACCOUNTS__GMO_COIN__MAIN__A__B__C: names no key"),
        ("ACCOUNTS__GMO_COIN__MAIN", CANARY, "ORDER_ROUTER_ACCOUNTS__GMO_COIN__MAIN: accounts.gmo_coin.main: must be"),
    ],
)
def test_a_fault_of_the_environment_names_the_variable(
    faults: Callable[..., list[str]], variable: str, text: str, line: str
) -> None:
    """A value of the environment has no line; its variable is its place."""
    found = faults(ACCOUNT, {f"ORDER_ROUTER_{variable}": text})
    assert any(fault.startswith(line) for fault in found), found


def test_variables_of_a_kubernetes_service_are_not_ours(loaded: Loaded) -> None:
    """Kubernetes describes a service named order-router in variables with our prefix."""
    service = {
        "ORDER_ROUTER_SERVICE_HOST": "10.0.0.1",
        "ORDER_ROUTER_PORT": "tcp://10.0.0.1:9464",
        "ORDER_ROUTER_HTTP_PORT": "tcp://10.0.0.1:9464",
        "ORDER_ROUTER_HTTP_SERVICE_PORT": "9464",
        "ORDER_ROUTER_PORT_9464_TCP_PROTO": "tcp",
        "ORDER_ROUTER_CRASH": "",
    }
    assert loaded("", service).http.port == 9464


def test_a_secret_comes_from_text_file_or_variable(loaded: Loaded, tmp_path: Path) -> None:
    """`x`, `x_file` and `x_env` say the same; a file's last line break is not part of the secret."""
    (tmp_path / "secret").write_text(f"{CANARY}-file\n")
    config = loaded(
        f'[accounts.gmo_coin.main]\napi_key_env = "KEY"\napi_secret_file = "{tmp_path / "secret"}"\n'
        '[journal]\nurl_env = "JOURNAL"\n',
        {"KEY": f"{CANARY}-env", "JOURNAL": f"postgresql://u:{CANARY}-db@h/d"},
    )
    secrets = config.accounts["gmo_coin"]["main"]
    assert (secrets.api_key, secrets.api_secret) == (f"{CANARY}-env", f"{CANARY}-file")
    assert config.secret_values() >= {f"{CANARY}-env", f"{CANARY}-file", f"{CANARY}-db"}


def test_the_environment_replaces_a_secret_in_whichever_form(loaded: Loaded, tmp_path: Path) -> None:
    """A secret of the file and another form of it in the environment are no contradiction."""
    (tmp_path / "secret").write_text("from-a-file")
    config = loaded(ACCOUNT, {"ORDER_ROUTER_ACCOUNTS__GMO_COIN__MAIN__API_SECRET_FILE": str(tmp_path / "secret")})
    assert config.accounts["gmo_coin"]["main"].api_secret == "from-a-file"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 70_000])
def test_a_secret_file_holds_one_secret(faults: Callable[..., list[str]], tmp_path: Path, content: bytes) -> None:
    """Empty, binary and huge files are mistakes."""
    (tmp_path / "secret").write_bytes(content)
    text = f'[accounts.gmo_coin.main]\napi_key = "k"\napi_secret_file = "{tmp_path / "secret"}"'
    assert any("accounts.gmo_coin.main.api_secret_file: " in line for line in faults(text))


def test_a_proxy_is_checked_and_its_password_kept_secret(loaded: Loaded, faults: Callable[..., list[str]]) -> None:
    """It comes from the environment, as for other tools, and is an error like any other."""
    config = loaded(ACCOUNT, {"HTTPS_PROXY": f"http://me:{CANARY}-p@proxy.test:3128"})
    assert f"{CANARY}-p" in config.secret_values()
    assert CANARY not in repr(config.proxies)
    (fault,) = faults(ACCOUNT, {"HTTPS_PROXY": f"socks5://me:{CANARY}@proxy.test:1080"})
    assert fault.startswith("HTTPS_PROXY: must look like")


def test_nothing_prints_a_secret(loaded: Loaded) -> None:
    """`repr` of the configuration and of each of its parts masks credentials and URL passwords."""
    config = loaded(
        f'{ACCOUNT}[broker]\nurl = "amqp://u:{CANARY}-a@h/"\n[journal]\nurl = "postgresql://u:{CANARY}%40b@h/d"\n'
        f'[accounts.btcturk.main]\napi_key = "{CANARY}-c"\napi_secret = "c2VjcmV0LWtleQ=="\nws_api_key = "{CANARY}-d"\n'
    )
    parts = [config, config.broker, config.journal, config.accounts, *config.accounts["btcturk"].values()]
    assert not any(CANARY in text for part in parts for text in (repr(part), str(part), f"{part}"))
    expected = {"-key", "-secret", "-a", "%40b", "@b", "-c", "-d"}
    assert config.secret_values() >= {CANARY + end for end in expected}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://u:p@h:1/v", "amqp://u:…@h:1/v"),
        ("amqp://h/", "amqp://h/"),
        (f"postgresql://h/d?password={CANARY}", "postgresql://h/d"),
        (f"amqp://u:{CANARY}/x@h/", None),
        (f"amqp://u:{CANARY}@x@h/", None),
        (f"amqp://u:{CANARY}@h:port", "…"),
    ],
)
def test_a_masked_url_holds_no_password(url: str, shown: str | None) -> None:
    """A password that was not encoded does not surface in another part of the URL."""
    assert CANARY not in masked(url)
    assert shown in {None, masked(url)}


def test_lanes_default_to_both_of_every_venue_with_an_account(loaded: Loaded) -> None:
    """Cancels come first, and a named lane is that lane alone."""
    text = ACCOUNT + '[accounts.nami.main]\napi_key = "k"\napi_secret = "s"\n'
    assert loaded(text).lanes() == (
        ("gmo_coin", "cancel"),
        ("nami", "cancel"),
        ("gmo_coin", "close"),
        ("nami", "close"),
    )
    named = loaded(text + '[worker]\nlanes = ["nami.close", "gmo_coin", "gmo_coin.close"]').lanes()
    assert named == (("gmo_coin", "cancel"), ("nami", "close"), ("gmo_coin", "close"))


def test_a_venue_with_an_account_has_options_without_a_table(loaded: Loaded) -> None:
    """Everything of a venue is optional but the keys."""
    assert loaded(ACCOUNT).venues["gmo_coin"].rest_url == "https://api.coin.z.com/private"


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("20/1s", ((20, 1.0),)),
        ("10/1s,300/60s", ((10, 1.0), (300, 60.0))),
        (" 10/1s , 300/1m ", ((10, 1.0), (300, 60.0))),
        ("1/100ms", ((1, 0.1),)),
        ("1000/1h", ((1000, 3600.0),)),
        ("1/0.5s", ((1, 0.5),)),
        ("off", ()),
    ],
)
def test_rates_are_read(text: str, pairs: tuple[tuple[int, float], ...]) -> None:
    """A rate is a count per period, several joined by commas, or off."""
    assert parse_rate(text) == pairs


@pytest.mark.parametrize(
    "text", ["", "20", "0/1s", "1/0s", "-1/1s", "1/1d", "1/1s,", "off,1/1s", "1.5/1s", "1/s", "1/1 s", "٣/1s"]
)
def test_other_rates_are_refused(text: str) -> None:
    """A rate that cannot be meant is not guessed at."""
    with pytest.raises(ValueError, match="a rate looks like"):
        parse_rate(text)


def _loaded_or_refused(file: Path, environ: Mapping[str, str]) -> Config | ConfigError:
    try:
        return load(file, environ)
    except ConfigError as error:
        return error


_PIECES = st.sampled_from(
    ["[", "]", "{", "}", "=", ".", ",", "\n", '"', "'", '"""', "#", "\\", " ", "1", "nan", "true", "broker", "url",
     "http", "port", "venues", "gmo_coin", "accounts", "main", "api_key", "api_secret", "senders", "worker",
     "lanes", "limits"]
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.lists(_PIECES, max_size=40).map(lambda pieces: "".join(pieces).encode()))
def test_any_bytes_give_a_config_or_a_config_error(tmp_path: Path, content: bytes) -> None:
    """No file, however broken, ends the program with a traceback."""
    file = tmp_path / "any.toml"
    file.write_bytes(content)
    assert isinstance(_loaded_or_refused(file, {}), Config | ConfigError)


_KEYS = st.sampled_from(
    ["BROKER__URL", "BROKER__DECLARE", "HTTP__PORT", "WORKER__LANES", "VENUES__NAMI__LIMITS", "VENUES__NAMI",
     "ACCOUNTS__NAMI__MAIN__API_KEY", "SENDERS__A__REPLY_TO", "SENDERS__A__ACCOUNTS", "X__Y", "A", "JOURNAL__URL_FILE"]
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(environ=st.dictionaries(_KEYS, st.text(max_size=40), max_size=4))
def test_any_environment_gives_a_config_or_a_config_error(tmp_path: Path, environ: dict[str, str]) -> None:
    """No variable does either."""
    variables = {f"ORDER_ROUTER_{name}": value for name, value in environ.items()}
    assert isinstance(_loaded_or_refused(Path(os.devnull), variables), Config | ConfigError)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400), junk=st.sampled_from(["", '"', "[", "=", "\n", "\\", "'''", "#", "}"]))
def test_a_damaged_file_never_gives_its_secrets_away(tmp_path: Path, cut: int, junk: str) -> None:
    """Wherever a configuration is cut or spoilt, the messages hold no piece of a secret."""
    text = f'{ACCOUNT}[broker]\nurl = "amqp://u:{CANARY}@h/"\n[accounts.coinbase.main]\napi_key = "{CANARY}"\n'
    text += f'api_secret = """\n-----BEGIN\n{CANARY}\n-----END"""\n'
    file = tmp_path / "cut.toml"
    file.write_text(text[:cut] + junk + text[cut + 1 :])
    assert "canary" not in repr(_loaded_or_refused(file, {}))


def test_a_quarantine_at_its_floor_is_taken(loaded: Loaded) -> None:
    """A request may be under way for the one and be taken for the other; not longer."""
    text = "[venues.gmo_coin]\ntimeout_s = 5\ntimestamp_window_s = 4.5\nquarantine_s = 9.5"
    assert loaded(text).venues["gmo_coin"].quarantine_s == 9.5


def test_where_each_secret_was_read_is_known(loaded: Loaded, tmp_path: Path) -> None:
    """By the key that names or holds it; what came from the environment was in no file."""
    secret = tmp_path / "secret"
    secret.write_text("c2VjcmV0")
    config = loaded(
        f'[accounts.btcturk.main]\napi_key_env = "KEY"\napi_secret_file = "{secret}"\nws_api_key = "w"\n',
        {"KEY": "k", "ORDER_ROUTER_ACCOUNTS__BTCTURK__MAIN__WS_API_SECRET": "c2VjcmV0"},
    )
    assert config.secret_files == {
        "accounts.btcturk.main.api_secret_file": str(secret),
        "accounts.btcturk.main.ws_api_key": str(tmp_path / "c.toml"),
    }
