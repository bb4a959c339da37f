"""Coinbase: what makes a request the account's own."""

import base64
import hashlib

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from router.venue_protocol import (
    Attempt,
    Request,
    Secrets,
    Stamp,
)
from router.venues.coinbase import Coinbase, CoinbaseOptions, signing_key, token
from tests.unit.venues.coinbase.canned import COINBASE, OURS, SENT_MS, close

KEY_NAME = "organizations/00000000-0000-0000-0000-000000000001/apiKeys/00000000-0000-0000-0000-000000000002"

NONCE = "000102030405060708090a0b0c0d0e0f"

CLOSE_URI = "POST api.coinbase.com/api/v3/brokerage/orders/close_position"

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")  # RFC 8032, 7.1, test 1

PORTAL_KEY = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg=="

EC_KEY = ec.derive_private_key(  # RFC 6979, A.2.5
    0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1()
)


def test_the_signed_token_equals_the_ed25519_vector() -> None:
    """Header and claim order, separators and signature are the venue's, byte for byte."""
    made = token(signing_key(PORTAL_KEY), KEY_NAME, CLOSE_URI, 1_700_000_000, NONCE)
    assert made.split(".")[2] == (
        "dS6s-GahFYcrIJiuaaxn4310GnyzhuU2bRiXyk1S64K4hY-XY18p9hCsmgDmsadGCSrIEMsqL59SO4x8eBppDw"
    )
    assert (
        hashlib.sha256(made.encode()).hexdigest() == "f84f3c198bd8f0419b087ff11d742f76497f197ace37ea4461491655e908ccaf"
    )


def test_the_websocket_token_equals_its_vector() -> None:
    """A WebSocket token has the same claims without `uri`."""
    made = token(signing_key(PORTAL_KEY), KEY_NAME, None, 1_700_000_000, NONCE)
    assert made.split(".")[2] == (
        "bOTgpttu1L8sheT39_aKdjmxKn6_c5fru08i9m27_TMWrpwUCZwhD4BNHSEXt6uAaolxwQoA77buPgBAnQ98DQ"
    )
    assert (
        hashlib.sha256(made.encode()).hexdigest() == "36da8aead6a0d486801215b5ae449f32b6fd565c5e633862d2ed5ba227e1687f"
    )


def test_an_es256_token_is_the_vectors_text_with_a_valid_raw_signature() -> None:
    """ES256 is randomised: the signed text must be the vector's, and the signature r||s over it valid."""
    made = token(EC_KEY, KEY_NAME, CLOSE_URI, 1_700_000_000, NONCE)
    text, _, signature = made.rpartition(".")
    r, s = decode_dss_signature(EC_KEY.sign(text.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    fixed = base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=").decode()
    assert fixed == "YvFr6tAAW6a06qDIJUjOjm8FgnsHYQ-hBEZIsMfm5fr4IGppFJ6ryfMruO9Xi8rflQB1PTxkjzwbzid0LkOOAg"
    whole = hashlib.sha256(f"{text}.{fixed}".encode()).hexdigest()
    assert whole == "adf62707fadcc2fd6598b1575c6ed5afaef43fcdc3065296eebe032473480be9"
    assert len(base64.urlsafe_b64decode(signature + "==")) == 64
    claims = jwt.decode(made, EC_KEY.public_key(), ["ES256"], options={"verify_exp": False, "verify_nbf": False})
    assert claims["uri"] == CLOSE_URI


def pem(
    key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey | X25519PrivateKey, kind: serialization.PrivateFormat
) -> str:
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()


@pytest.mark.parametrize(
    ("secret", "algorithm"),
    [
        (pem(EC_KEY, serialization.PrivateFormat.TraditionalOpenSSL), "ES256"),
        (pem(EC_KEY, serialization.PrivateFormat.PKCS8), "ES256"),
        (pem(EC_KEY, serialization.PrivateFormat.TraditionalOpenSSL).replace("\n", "\\n"), "ES256"),
        (PORTAL_KEY, "EdDSA"),
        (f" {PORTAL_KEY[:40]}\n{PORTAL_KEY[40:]}\n", "EdDSA"),
        (base64.b64encode(SEED).decode(), "EdDSA"),
        (pem(Ed25519PrivateKey.from_private_bytes(SEED), serialization.PrivateFormat.PKCS8), "EdDSA"),
    ],
    ids=["sec1", "pkcs8", "literal newlines", "portal", "wrapped", "seed", "ed25519 pem"],
)
def test_a_key_is_recognised_in_every_form_the_portal_gives_it(secret: str, algorithm: str) -> None:
    """The kind of key decides the algorithm; nobody has to configure it."""
    made = token(signing_key(secret), KEY_NAME, CLOSE_URI, 1_700_000_000, NONCE)
    assert jwt.get_unverified_header(made)["alg"] == algorithm


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "SECRETWORD!",
        base64.b64encode(b"SECRETWORD").decode(),
        base64.b64encode(SEED + b"SECRETWORD" + bytes(22)).decode(),
        "-----BEGIN EC PRIVATE KEY-----\nSECRETWORD\n-----END EC PRIVATE KEY-----",
        pem(ec.generate_private_key(ec.SECP384R1()), serialization.PrivateFormat.PKCS8),
        pem(X25519PrivateKey.generate(), serialization.PrivateFormat.PKCS8),
        "-----BEGIN é PRIVATE KEY-----",
    ],
    ids=["empty", "not base64", "short", "foreign public half", "broken pem", "P-384", "X25519", "not ascii"],
)
def test_a_key_that_cannot_be_used_is_refused_without_quoting_it(secret: str) -> None:
    """What is wrong with a key is said without a character of the key, also in the cause."""
    with pytest.raises(ValueError, match="the private key is neither") as caught:
        COINBASE.signer(Secrets(api_key=KEY_NAME, api_secret=secret))
    assert "SECRETWORD" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_nameless_key_is_refused() -> None:
    """Without the key's name no token can say whose it is."""
    with pytest.raises(ValueError, match="name is empty"):
        COINBASE.signer(Secrets(api_key="", api_secret=PORTAL_KEY))


@pytest.mark.parametrize(
    ("rest_url", "host"),
    [
        ("https://api.coinbase.com", "api.coinbase.com"),
        ("https://api.coinbase.com/", "api.coinbase.com"),
        ("http://127.0.0.1:8080/coinbase/", "127.0.0.1:8080/coinbase"),
    ],
)
def test_the_token_names_the_url_that_is_called(rest_url: str, host: str) -> None:
    """`uri` has the host, port and base path really called, and never the query."""
    venue = Coinbase(CoinbaseOptions(rest_url=rest_url))
    flow = venue.lookup(close(), Attempt(client_order_id=OURS, sent_ms=SENT_MS, now_ms=SENT_MS))
    signed = venue.signer(Secrets(api_key=KEY_NAME, api_secret=PORTAL_KEY))(next(flow), Stamp(SENT_MS, NONCE))
    assert signed.url == (
        f"{rest_url.rstrip('/')}/api/v3/brokerage/orders/historical/batch"
        "?product_ids=BIT-28JUL23-CDE&start_date=2023-11-14T22%3A10%3A15.999Z"
    )
    claims = jwt.decode(signed.headers["Authorization"].removeprefix("Bearer "), options={"verify_signature": False})
    assert claims["uri"] == f"GET {host}/api/v3/brokerage/orders/historical/batch"
    assert (claims["nbf"], claims["exp"]) == (1_699_999_995, 1_700_000_115)
    assert "Content-Type" not in signed.headers
    posted = venue.signer(Secrets(api_key=KEY_NAME, api_secret=PORTAL_KEY))(
        Request(method="POST", path="/x", endpoint="x", body=b"{}"), Stamp(SENT_MS, NONCE)
    )
    assert posted.headers["Content-Type"] == "application/json"
