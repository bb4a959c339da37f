"""Which proxy an address is reached by, as the environment says."""

import pytest

from router.config.proxy import Proxies
from router.errors import ConfigError

SECRET = "pr0xy+5ecret"
BOTH = {"HTTPS_PROXY": f"http://me:{SECRET}@one.test:3128", "http_proxy": "two.test:8080"}


def test_each_scheme_has_its_own() -> None:
    """Upper or lower case, with or without `http://`; the private feeds go where the requests go."""
    proxies = Proxies.read(BOTH)
    secure = proxies.of("https", "api.coin.z.com", 443)
    assert secure is not None
    assert secure == proxies.of("wss", "api.coin.z.com", 443)
    assert (secure.url, secure.headers) == (
        "http://one.test:3128",
        {"Proxy-Authorization": "Basic bWU6cHIweHkrNWVjcmV0"},
    )
    plain = proxies.of("http", "api.coin.z.com", 80)
    assert plain is not None
    assert (plain.url, plain.headers) == ("http://two.test:8080", {})
    assert proxies.of("ws", "api.coin.z.com", 80) is None


@pytest.mark.parametrize(
    ("without", "host", "direct"),
    [
        ("api.btcturk.com", "api.btcturk.com", True),
        ("btcturk.com", "api.btcturk.com", True),
        (".btcturk.com, other", "api.btcturk.com", True),
        ("turk.com", "api.btcturk.com", False),
        ("api.btcturk.com:8443", "api.btcturk.com", False),
        ("api.btcturk.com:443", "api.btcturk.com", True),
        ("*", "api.btcturk.com", True),
        ("*.btcturk.com", "api.btcturk.com", True),
        ("API.BtcTurk.com", "api.btcturk.com", True),
        (", ,", "api.btcturk.com", False),
        ("", "localhost", True),
        ("", "127.0.0.9", True),
        ("", "::1", True),
        ("", "10.0.0.1", False),
        ("10.0.0.1", "10.0.0.1", True),
    ],
)
def test_what_goes_without(without: str, host: str, direct: bool) -> None:
    """`NO_PROXY`, and always this machine itself."""
    proxies = Proxies.read({**BOTH, "NO_PROXY": without})
    assert (proxies.of("https", host, 443) is None) == direct


@pytest.mark.parametrize(
    "url",
    [
        f"socks5://me:{SECRET}@one.test:1080",
        f"https://me:{SECRET}@one.test",
        f"http://me:{SECRET}@",
        f"http://me:{SECRET}@one.test:port",
        f"http://me:{SECRET}@one.test/path",
        f"http://me:{SECRET}@one.test:3128?x=1",
        f"http://me:{SECRET}%0d%0aX:1@one.test:3128",
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_and_not_quoted(url: str) -> None:
    """The worker does not start with it: everything would fail later, and say less."""
    with pytest.raises(ConfigError) as caught:
        Proxies.read({"HTTPS_PROXY": url})
    assert "HTTPS_PROXY" in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_nothing_prints_the_password() -> None:
    """Neither the proxies nor one of them; whoever redacts is told."""
    proxies = Proxies.read(BOTH)
    assert SECRET not in f"{proxies!r} {proxies.of('https', 'a.test', 443)!r}"
    assert proxies.secrets() == {SECRET}


def test_a_header_of_a_web_request_is_no_proxy() -> None:
    """In a CGI process HTTP_PROXY is a request's `Proxy` header."""
    assert Proxies.read({"HTTP_PROXY": "http://evil.test:1", "REQUEST_METHOD": "GET"}) == Proxies()
