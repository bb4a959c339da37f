"""Coinbase: what leaves, and what each answer and each look means."""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from router.venue_protocol import (
    Absent,
    Accepted,
    Attempt,
    Done,
    Flow,
    Look,
    Refused,
    Request,
    Response,
    Retry,
    Secrets,
    Sight,
    Stamp,
    Unknown,
    VenueAdapter,
    Working,
)
from router.venues.coinbase import Coinbase, CoinbaseOptions, signing_key, token
from schemas.commands import Cancel, CancelAll, Close, CloseAll
from schemas.results import OrderState

COINBASE = Coinbase(CoinbaseOptions())
SYMBOL = "BIT-28JUL23-CDE"
OURS = "0f9e2c1a-6b5d-5c3e-9a47-2d8f6b1c0e35"
OTHERS = "7d1d7f44-3a2b-4f0e-8f55-0a1b2c3d4e5f"
SENT_MS = 1_700_000_000_999
NOT_AFTER = datetime(2023, 11, 14, 23, 0, tzinfo=UTC)
KEY_NAME = "organizations/00000000-0000-0000-0000-000000000001/apiKeys/00000000-0000-0000-0000-000000000002"
NONCE = "000102030405060708090a0b0c0d0e0f"
CLOSE_URI = "POST api.coinbase.com/api/v3/brokerage/orders/close_position"
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")  # RFC 8032, 7.1, test 1
PORTAL_KEY = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg=="
EC_KEY = ec.derive_private_key(  # RFC 6979, A.2.5
    0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1()
)


def close(**fields: Any) -> Close:
    return Close(
        command_id="close-1", venue="coinbase", account="main", not_after=NOT_AFTER, **{"symbol": SYMBOL, **fields}
    )


def cancel(**fields: Any) -> Cancel:
    return Cancel(
        command_id="cancel-1", venue="coinbase", account="main", not_after=NOT_AFTER, **{"order_id": "A-1", **fields}
    )


def reply(body: Any, status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, json.dumps(body).encode())


def refusal(**reasons: Any) -> Response:
    return reply({"success": False, "error_response": reasons})


def success(**extra: Any) -> dict[str, Any]:
    made = {"order_id": "A-1", "product_id": SYMBOL, "side": "SELL", "client_order_id": OURS}
    return {"success": True, "success_response": made, **extra}


def cancel_row(succeeded: bool, reason: str, order_id: str = "A-1") -> Response:
    return reply({"results": [{"success": succeeded, "failure_reason": reason, "order_id": order_id}]})


def order(order_id: str = "A-1", client_order_id: str = OURS, status: str = "FILLED", **fields: Any) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "client_order_id": client_order_id,
        "product_id": SYMBOL,
        "status": status,
        "filled_size": "3" if status == "FILLED" else "0",
        "average_filled_price": "30123.5" if status == "FILLED" else "0",
        "pending_cancel": False,
        "order_configuration": {"market_market_ioc": {"base_size": "3"}},
        **fields,
    }


def orders(*rows: dict[str, Any], has_next: bool = False, cursor: str = "") -> Response:
    return reply({"orders": rows, "sequence": "0", "has_next": has_next, "cursor": cursor})


def fills(*order_ids: str, time: str = "2023-11-14T22:13:20.999Z", cursor: str = "") -> Response:
    rows = [{"order_id": order_id, "product_id": SYMBOL, "trade_time": time, "size": "3"} for order_id in order_ids]
    return reply({"fills": rows, "cursor": cursor})


def positions(contracts: Any = None) -> Response:
    rows = [] if contracts is None else [{"product_id": SYMBOL, "side": "LONG", "number_of_contracts": contracts}]
    return reply({"positions": [*rows, {"product_id": "BIP-20DEC30-CDE", "side": "LONG", "number_of_contracts": "1"}]})


def run(flow: Flow, *answers: Response) -> tuple[Sight, list[Request]]:
    """Feed a flow its canned answers; every one of them must be asked for."""
    asked: list[Request] = []
    waiting = list(answers)
    try:
        asked.append(next(flow))
        while True:
            asked.append(flow.send(waiting.pop(0)))
    except StopIteration as stop:
        assert not waiting, f"never asked for: {waiting}"
        sight: Sight = stop.value
        return sight, asked


def look(command: Close | Cancel, *answers: Response, **attempt: Any) -> Sight:
    known = Attempt(client_order_id=OURS, sent_ms=SENT_MS, now_ms=SENT_MS + 200_000, window_ms=120_000, **attempt)
    return run(COINBASE.lookup(command, known), *answers)[0]


# --- signing


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


# --- requests


def test_a_close_without_size_asks_for_the_whole_position() -> None:
    """The key is left out, not null: an unknown or empty field would be the venue's to interpret."""
    request = COINBASE.request(close(), OURS)
    assert isinstance(request, Request)
    assert (request.method, request.path) == ("POST", "/api/v3/brokerage/orders/close_position")
    assert request.body == f'{{"client_order_id":"{OURS}","product_id":"{SYMBOL}"}}'.encode()
    assert request.scopes == ("private",)


def test_a_size_reaches_the_venue_as_text() -> None:
    """The page's schema says string, so a number never passes through a float."""
    request = COINBASE.request(close(size="3"), OURS)
    assert isinstance(request, Request)
    assert json.loads(request.body)["size"] == "3"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("position_id", "1"),
        ("side", "sell"),
        ("order_type", "limit"),
        ("order_type", "stop"),
        ("price", "100"),
        ("time_in_force", "gtc"),
        ("params", {"anything": 1}),
        ("size", "1.5"),
        ("size", "2.0"),
        ("symbol", "BTC-PERP-INTX"),
    ],
)
def test_a_close_refuses_what_the_venue_cannot_honour(field: str, value: Any) -> None:
    """A field that would be dropped silently is refused by its name instead."""
    refused = COINBASE.request(close(**{field: value}), OURS)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.message.startswith(f"{field}:")) == ("unsupported", True)


def test_a_cancel_names_one_order() -> None:
    """Only the venue's id is sent; a symbol given with it changes nothing."""
    request = COINBASE.request(cancel(symbol=SYMBOL), OURS)
    assert isinstance(request, Request)
    assert (request.path, request.body) == ("/api/v3/brokerage/orders/batch_cancel", b'{"order_ids":["A-1"]}')


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"order_id": None}, "order_id"), ({"order_id": ".."}, "order_id"), ({"params": {"size": 1}}, "size")],
)
def test_a_cancel_that_names_no_order_is_refused(fields: dict[str, Any], named: str) -> None:
    """An empty id hangs at the venue, a dotted one walks the path, and there are no params."""
    refused = COINBASE.request(cancel(**fields), OURS)
    assert isinstance(refused, Refused)
    assert refused.code == "invalid_command"
    assert named in refused.message


def test_all_at_once_is_not_supported() -> None:
    """Neither endpoint closes or cancels everything."""
    for kind in (CloseAll, CancelAll):
        refused = COINBASE.request(kind(command_id="c", venue="coinbase", account="main", not_after=NOT_AFTER), OURS)
        assert isinstance(refused, Refused)
        assert refused.code == "unsupported"


def test_only_the_switch_makes_a_close_repeatable() -> None:
    """A cancel may be sent twice; a close only where the operator has proven the replay."""
    assert COINBASE.repeatable(cancel())
    assert not COINBASE.repeatable(close())
    resending = Coinbase(CoinbaseOptions(resend_close=True))
    assert resending.repeatable(close())
    assert not resending.repeatable(CloseAll(command_id="c", venue="coinbase", account="main", not_after=NOT_AFTER))


def test_the_module_keeps_the_port() -> None:
    """It is a VenueAdapter; one close at a time per product, thirty requests a second, tokens of two minutes."""
    venue: VenueAdapter = COINBASE
    assert venue.position(close()) == SYMBOL
    assert [(limit.scope, limit.count, limit.period_s, limit.per) for limit in venue.limits] == [
        ("private", 30, 1.0, "account")
    ]
    assert CoinbaseOptions().timestamp_window_s == 120.0


# --- answers to a close

LISTED = """
DONE: CANNOT_CLOSE_ZERO_POSITION
EXISTS: DUPLICATE_CLIENT_ORDER_ID
FINAL: UNSUPPORTED_ORDER_CONFIGURATION INVALID_SIDE INVALID_PRODUCT_ID INVALID_SIZE_PRECISION INSUFFICIENT_FUND
    INVALID_LEDGER_BALANCE INELIGIBLE_PAIR INVALID_REQUEST INSUFFICIENT_FUNDS IN_LIQUIDATION INVALID_MARGIN_TYPE
    INVALID_LEVERAGE UNTRADABLE_PRODUCT GEOFENCING_RESTRICTION OPEN_BRACKET_ORDERS POSITION_SIZE_INCREASE_REJECT
    INVALID_UNSUPPORTED_INSTRUMENT REDUCE_ONLY_INCREASED_POSITION_SIZE BREACHED_RISK_LIMIT INVALID_PRICE_PRECISION
    INVALID_LIMIT_PRICE_POST_ONLY INVALID_LIMIT_PRICE QUOTE_SIZE_NOT_ALLOWED_FOR_BRACKET INVALID_BRACKET_PRICES
    INVALID_BRACKET_LIMIT_PRICE INVALID_BRACKET_STOP_TRIGGER_PRICE BRACKET_LIMIT_PRICE_OUT_OF_BOUNDS
    STOP_TRIGGER_PRICE_OUT_OF_BOUNDS BRACKET_ORDER_NOT_SUPPORTED FOK_DISABLED FOK_ONLY_ALLOWED_ON_LIMIT_ORDERS
    POST_ONLY_NOT_ALLOWED_WITH_FOK UBO_HIGH_LEVERAGE_QUANTITY_BREACHED END_TIME_TOO_FAR_IN_FUTURE
    LIMIT_PRICE_TOO_FAR_FROM_MARKET INVALID_ATTACHED_TAKE_PROFIT_PRICE INVALID_ATTACHED_STOP_LOSS_PRICE
    INVALID_ATTACHED_TAKE_PROFIT_PRICE_PRECISION INVALID_ATTACHED_STOP_LOSS_PRICE_PRECISION
    INVALID_ATTACHED_TAKE_PROFIT_PRICE_OUT_OF_BOUNDS INVALID_ATTACHED_STOP_LOSS_PRICE_OUT_OF_BOUNDS
    INVALID_ATTACHED_TAKE_PROFIT_PRICE_EXCEEDS_MAX_DISTANCE_FROM_ORIGINATING_PRICE
    INVALID_ATTACHED_TAKE_PROFIT_SIZE_BELOW_MIN ATTACHED_ORDER_SIZE_MUST_BE_NIL INVALID_SETTLEMENT_CURRENCY
    DURATION_TOO_SMALL INTX_FOK_ONLY_ALLOWED_ON_LIMIT_AND_MARKET_ORDERS BUCKET_SIZE_SMALLER_THAN_QUOTE_MIN
    BUCKET_SIZE_SMALLER_THAN_BASE_MIN END_TIME_AFTER_CONTRACT_EXPIRATION START_TIME_MUST_BE_SPECIFIED
    ICEBERG_ORDERS_NOT_SUPPORTED END_TIME_IS_IN_THE_PAST GTD_ORDERS_MUST_HAVE_END_TIME
    ATTACHED_ORDER_MUST_HAVE_POSITIVE_PRICES INVALID_ORDER_SIDE_FOR_ATTACHED_TPSL
    ATTACHED_ORDERS_ONLY_ALLOWED_ON_MARKET_LIMIT INVALID_ORDER_TYPE_FOR_ATTACHED PRICE_NOT_ALLOWED_FOR_MARKET_ORDERS
    REDUCE_ONLY_NOT_ALLOWED_ON_VENUE DURATION_TOO_LARGE REDUCE_ONLY_NOT_ALLOWED_ON_SPOT_PRODUCTS
    LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_BUY LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_SELL
    INVALID_ATTACHED_TAKE_PROFIT_PRICE_OUT_OF_BOUNDS_ON_AGGRESSIVE_ORDER
    INVALID_ATTACHED_STOP_LOSS_PRICE_OUT_OF_BOUNDS_ON_AGGRESSIVE_ORDER STOP_ALREADY_TRIGGERED REPLACE_NOT_SUPPORTED
    ORDER_IS_PENDING_CANCEL ASSET_BALANCE_INCREASE_REJECT INVALID_RFQ_BASE_SIZE_TOO_SMALL
    INVALID_RFQ_BASE_SIZE_TOO_LARGE INVALID_RFQ_QUOTE_SIZE_TOO_SMALL INVALID_RFQ_QUOTE_SIZE_TOO_LARGE
    SCALED_PARAM_INFEASIBLE SCALED_MIN_ORDER_VIOLATION SCALED_MAX_ORDER_VIOLATION POST_ONLY_NOT_ALLOWED_WITH_PEG
    INVALID_PEG_OFFSET INVALID_PEG_WIG_LEVEL INVALID_PEG_VENUE_OPTIONS PEG_INVALID_ORDER_TYPE
    SINGLE_LEGGED_TPSL_NOT_ALLOWED FRACTIONAL_ORDERS_NOT_ALLOWED_FOR_PRODUCT QUOTE_ORDERS_NOT_ALLOWED_FOR_PRODUCT
    NOTIONAL_SIZE_BREACHES_FRACTIONAL_MINIMUM MAX_NOTIONAL_PER_ORDER_BREACHED_15C35_CHECK
    MAX_SHARES_PER_ORDER_BREACHED_15C35_CHECK SCALED_PARAM_DISCREPANCY STOP_LOSS_PRICE_TOO_LOW
    ATTACHED_STOP_LOSS_PRICE_TOO_LOW STOP_LOSS_PRICE_TOO_HIGH ATTACHED_STOP_LOSS_PRICE_TOO_HIGH
    TAKE_PROFIT_PRICE_TOO_HIGH ATTACHED_TAKE_PROFIT_PRICE_TOO_HIGH TAKE_PROFIT_PRICE_TOO_LOW
    ATTACHED_TAKE_PROFIT_PRICE_TOO_LOW RFQ_INVALID_COMBO_LEGS RFQ_VALIDATION_FAILURE PREVIEW_INVALID_SIDE
    PREVIEW_INVALID_ORDER_CONFIG PREVIEW_INVALID_PRODUCT_ID PREVIEW_INVALID_SIZE_PRECISION
    PREVIEW_INVALID_PRICE_PRECISION PREVIEW_INVALID_LEDGER_BALANCE PREVIEW_INSUFFICIENT_LEDGER_BALANCE
    PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY PREVIEW_INVALID_LIMIT_PRICE PREVIEW_INSUFFICIENT_FUND
    PREVIEW_INVALID_COMMISSION_CONFIGURATION PREVIEW_INVALID_STOP_PRICE PREVIEW_INVALID_BASE_SIZE_TOO_LARGE
    PREVIEW_INVALID_BASE_SIZE_TOO_SMALL PREVIEW_INVALID_QUOTE_SIZE_PRECISION PREVIEW_INVALID_QUOTE_SIZE_TOO_LARGE
    PREVIEW_INVALID_PRICE_TOO_LARGE PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL PREVIEW_INSUFFICIENT_FUNDS_FOR_FUTURES
    PREVIEW_BREACHED_PRICE_LIMIT PREVIEW_BREACHED_ACCOUNT_POSITION_LIMIT PREVIEW_BREACHED_COMPANY_POSITION_LIMIT
    PREVIEW_INVALID_MARGIN_HEALTH PREVIEW_UNTRADABLE_FCM_ACCOUNT_STATUS PREVIEW_IN_LIQUIDATION
    PREVIEW_INVALID_MARGIN_TYPE PREVIEW_INVALID_LEVERAGE PREVIEW_UNTRADABLE_PRODUCT
    PREVIEW_BREACHED_OPEN_INTEREST_LIMIT PREVIEW_GEOFENCING_RESTRICTION PREVIEW_INVALID_END_TIME
    PREVIEW_OPPOSITE_MARGIN_TYPE_EXISTS PREVIEW_QUOTE_SIZE_NOT_ALLOWED_FOR_BRACKET PREVIEW_INVALID_BRACKET_PRICES
    PREVIEW_INVALID_BRACKET_LIMIT_PRICE PREVIEW_INVALID_BRACKET_STOP_TRIGGER_PRICE
    PREVIEW_BRACKET_LIMIT_PRICE_OUT_OF_BOUNDS PREVIEW_STOP_TRIGGER_PRICE_OUT_OF_BOUNDS
    PREVIEW_BRACKET_ORDER_NOT_SUPPORTED PREVIEW_INVALID_STOP_PRICE_PRECISION PREVIEW_STOP_PRICE_ABOVE_LIMIT_PRICE
    PREVIEW_STOP_PRICE_BELOW_LIMIT_PRICE PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE
    PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE PREVIEW_FOK_DISABLED PREVIEW_FOK_ONLY_ALLOWED_ON_LIMIT_ORDERS
    PREVIEW_POST_ONLY_NOT_ALLOWED_WITH_FOK PREVIEW_UBO_HIGH_LEVERAGE_QUANTITY_BREACHED
    PREVIEW_ECOSYSTEM_LEVERAGE_UTILIZATION_BREACHED PREVIEW_CLOSE_ONLY_FAILURE
    PREVIEW_UBO_HIGH_LEVERAGE_NOTIONAL_BREACHED PREVIEW_END_TIME_TOO_FAR_IN_FUTURE
    PREVIEW_LIMIT_PRICE_TOO_FAR_FROM_MARKET PREVIEW_INVALID_ATTACHED_TAKE_PROFIT_PRICE
    PREVIEW_INVALID_ATTACHED_STOP_LOSS_PRICE PREVIEW_INVALID_ATTACHED_TAKE_PROFIT_PRICE_PRECISION
    PREVIEW_INVALID_ATTACHED_STOP_LOSS_PRICE_PRECISION PREVIEW_INVALID_ATTACHED_TAKE_PROFIT_PRICE_OUT_OF_BOUNDS
    PREVIEW_INVALID_ATTACHED_STOP_LOSS_PRICE_OUT_OF_BOUNDS PREVIEW_INVALID_BRACKET_ORDER_SIDE
    PREVIEW_BRACKET_ORDER_SIZE_EXCEEDS_POSITION PREVIEW_ORDER_SIZE_EXCEEDS_BRACKETED_POSITION
    PREVIEW_INVALID_LIMIT_PRICE_PRECISION PREVIEW_INVALID_STOP_TRIGGER_PRICE_PRECISION
    PREVIEW_INVALID_ATTACHED_TAKE_PROFIT_PRICE_EXCEEDS_MAX_DISTANCE_FROM_ORIGINATING_PRICE
    PREVIEW_INVALID_ATTACHED_TAKE_PROFIT_SIZE_BELOW_MIN PREVIEW_ATTACHED_ORDER_SIZE_MUST_BE_NIL
    PREVIEW_BELOW_MIN_SIZE_FOR_DURATION PREVIEW_MAX_DAILY_VOLUME_NOTIONAL_BREACHED PREVIEW_INVALID_SETTLEMENT_CURRENCY
    PREVIEW_DURATION_TOO_SMALL PREVIEW_INTX_FOK_ONLY_ALLOWED_ON_LIMIT_AND_MARKET_ORDERS
    PREVIEW_BUCKET_SIZE_SMALLER_THAN_QUOTE_MIN PREVIEW_BUCKET_SIZE_SMALLER_THAN_BASE_MIN
    PREVIEW_END_TIME_AFTER_CONTRACT_EXPIRATION PREVIEW_START_TIME_MUST_BE_SPECIFIED
    PREVIEW_ICEBERG_ORDERS_NOT_SUPPORTED PREVIEW_END_TIME_IS_IN_THE_PAST PREVIEW_GTD_ORDERS_MUST_HAVE_END_TIME
    PREVIEW_ATTACHED_ORDER_MUST_HAVE_POSITIVE_PRICES PREVIEW_INVALID_ORDER_SIDE_FOR_ATTACHED_TPSL
    PREVIEW_ATTACHED_ORDERS_ONLY_ALLOWED_ON_MARKET_LIMIT PREVIEW_INVALID_ORDER_TYPE_FOR_ATTACHED
    PREVIEW_PRICE_NOT_ALLOWED_FOR_MARKET_ORDERS PREVIEW_REDUCE_ONLY_NOT_ALLOWED_ON_VENUE
    PREVIEW_NON_NUMERIC_ORDER_SIZE PREVIEW_INVALID_INTX_CLIENT_ORDER_ID PREVIEW_DURATION_TOO_LARGE
    PREVIEW_REDUCE_ONLY_NOT_ALLOWED_ON_SPOT_PRODUCTS PREVIEW_LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_BUY
    PREVIEW_LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_SELL
    PREVIEW_INVALID_ATTACHED_TAKE_PROFIT_PRICE_OUT_OF_BOUNDS_ON_AGGRESSIVE_ORDER
    PREVIEW_INVALID_ATTACHED_STOP_LOSS_PRICE_OUT_OF_BOUNDS_ON_AGGRESSIVE_ORDER PREVIEW_STOP_TRIGGERED
    PREVIEW_REPLACE_NOT_SUPPORTED PREVIEW_ORDER_IS_PENDING_CANCEL PREVIEW_POSITION_SIZE_INCREASE_REJECT
    PREVIEW_ASSET_BALANCE_INCREASE_REJECT PREVIEW_INVALID_RFQ_BASE_SIZE_TOO_SMALL
    PREVIEW_INVALID_RFQ_BASE_SIZE_TOO_LARGE PREVIEW_INVALID_RFQ_QUOTE_SIZE_TOO_SMALL
    PREVIEW_INVALID_RFQ_QUOTE_SIZE_TOO_LARGE PREVIEW_REDUCE_ONLY_INCREASED_POSITION_SIZE
    PREVIEW_COMPLIANCE_PURCHASE_LIMIT_EXCEEDED PREVIEW_SCALED_PARAM_INFEASIBLE PREVIEW_SCALED_MIN_ORDER_VIOLATION
    PREVIEW_SCALED_MAX_ORDER_VIOLATION PREVIEW_POST_ONLY_NOT_ALLOWED_WITH_PEG PREVIEW_INVALID_PEG_OFFSET
    PREVIEW_INVALID_PEG_WIG_LEVEL PREVIEW_INVALID_PEG_VENUE_OPTIONS PREVIEW_PEG_INVALID_ORDER_TYPE
    PREVIEW_SINGLE_LEGGED_TPSL_NOT_ALLOWED PREVIEW_FRACTIONAL_ORDERS_NOT_ALLOWED_FOR_PRODUCT
    PREVIEW_QUOTE_ORDERS_NOT_ALLOWED_FOR_PRODUCT PREVIEW_NOTIONAL_SIZE_BREACHES_FRACTIONAL_MINIMUM
    PREVIEW_MAX_NOTIONAL_PER_ORDER_BREACHED_15C35_CHECK PREVIEW_MAX_SHARES_PER_ORDER_BREACHED_15C35_CHECK
    PREVIEW_INVALID_BRACKET_LIMIT_PRICE_PRECISION PREVIEW_SCALED_PARAM_DISCREPANCY PREVIEW_STOP_LOSS_PRICE_TOO_LOW
    PREVIEW_PREDICTIONS_QUOTE_SIZE_BELOW_MIN_CONTRACT_PRICE PREVIEW_PREDICTIONS_HIGH_PRICE_CONTRACTS_BLOCKED
    PREVIEW_ATTACHED_STOP_LOSS_PRICE_TOO_LOW PREVIEW_BREACHED_RISK_LIMIT PREVIEW_STOP_LOSS_PRICE_TOO_HIGH
    PREVIEW_ATTACHED_STOP_LOSS_PRICE_TOO_HIGH PREVIEW_TAKE_PROFIT_PRICE_TOO_HIGH
    PREVIEW_ATTACHED_TAKE_PROFIT_PRICE_TOO_HIGH PREVIEW_TAKE_PROFIT_PRICE_TOO_LOW
    PREVIEW_ATTACHED_TAKE_PROFIT_PRICE_TOO_LOW PREVIEW_INVALID_UNSUPPORTED_INSTRUMENT
HOLD: ORDER_ENTRY_DISABLED INVALID_FCM_TRADING_SESSION FUTURES_AFTER_HOUR_INVALID_ORDER_TYPE
    FUTURES_AFTER_HOUR_INVALID_TIME_IN_FORCE PRODUCT_TRADING_HALTED TRADING_DISABLED
    MARKET_ORDERS_PROHIBITED_DURING_NON_CORE_SESSION NOTIONAL_ORDERS_PROHIBITED_DURING_NON_CORE_SESSION
    INVALID_EQUITY_TRADING_SESSION PREVIEW_INVALID_FCM_TRADING_SESSION PREVIEW_NOT_ALLOWED_BY_MARKET_STATE
    PREVIEW_FUTURES_AFTER_HOUR_INVALID_ORDER_TYPE PREVIEW_FUTURES_AFTER_HOUR_INVALID_TIME_IN_FORCE
    PREVIEW_MARKET_ORDERS_PROHIBITED_DURING_NON_CORE_SESSION
    PREVIEW_NOTIONAL_ORDERS_PROHIBITED_DURING_NON_CORE_SESSION PREVIEW_INVALID_EQUITY_TRADING_SESSION
    PREVIEW_PRODUCT_TRADING_HALTED PREVIEW_TRADING_DISABLED
RETRY: INVALID_NO_LIQUIDITY MISSING_MARKET_TRADE_DATA MODIFY_POSITION_WORKFLOW_ALREADY_RUNNING
    TOO_MANY_PENDING_REPLACES NBBO_NOT_PROVIDED INVALID_NBBO_BID_PRICE INVALID_NBBO_ASK_PRICE RFQ_QUOTE_EXPIRED
    RFQ_TOO_MANY_OPEN_QUOTES RFQ_RATE_LIMITED PREVIEW_MISSING_COMMISSION_RATE PREVIEW_MISSING_PRODUCT_PRICE_BOOK
    PREVIEW_INVALID_NO_LIQUIDITY PREVIEW_RISK_PROXY_FAILURE PREVIEW_MISSING_MARKET_TRADE_DATA
    PREVIEW_TOO_MANY_PENDING_REPLACES PREVIEW_NBBO_NOT_PROVIDED PREVIEW_INVALID_NBBO_BID_PRICE
    PREVIEW_INVALID_NBBO_ASK_PRICE
AMBIG: UNKNOWN_FAILURE_REASON COMMANDER_REJECTED_NEW_ORDER RFQ_VENUE_REJECTED UNKNOWN_PREVIEW_FAILURE_REASON
"""


def listed() -> dict[str, str]:
    found, kind = {}, ""
    for word in LISTED.split():
        if word.endswith(":"):
            kind = word[:-1]
        else:
            found[word] = kind
    return found


MEANING: Mapping[str, type] = {
    "DONE": Done,
    "EXISTS": Look,
    "FINAL": Refused,
    "HOLD": Refused,
    "RETRY": Retry,
    "AMBIG": Unknown,
}


def test_every_documented_reason_is_typed_out_here() -> None:
    """The page lists 123 reasons for an order and 151 for its preview."""
    previews = [name for name in listed() if "PREVIEW" in name]
    assert (len(listed()), len(previews)) == (274, 151)


@pytest.mark.parametrize(("reason", "kind"), listed().items())
def test_a_documented_reason_means_what_its_class_says(reason: str, kind: str) -> None:
    """FINAL is proven not executed, HOLD is a closed market, DONE is flat, EXISTS must be looked at, AMBIG is doubt."""
    field = "preview_failure_reason" if "PREVIEW" in reason else "new_order_failure_reason"
    outcome = COINBASE.verdict(close(), refusal(**{field: reason, "error_details": "because"}))
    assert type(outcome) is MEANING[kind]
    assert outcome.venue_code == reason
    if isinstance(outcome, Refused):
        assert (outcome.code == "market_closed") == (kind == "HOLD")
    if isinstance(outcome, Refused | Retry | Look | Unknown):
        assert outcome.message == "because"


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("INVALID_SIZE_PRECISION", "invalid_size"),
        ("PREVIEW_INVALID_BASE_SIZE_TOO_SMALL", "invalid_size"),
        ("INVALID_LIMIT_PRICE", "invalid_price"),
        ("INSUFFICIENT_FUND", "insufficient_funds"),
        ("PREVIEW_INSUFFICIENT_FUNDS_FOR_FUTURES", "insufficient_funds"),
        ("REDUCE_ONLY_INCREASED_POSITION_SIZE", "insufficient_position"),
        ("INVALID_PRODUCT_ID", "invalid_command"),
        ("OPEN_BRACKET_ORDERS", "venue_rejected"),
        ("GEOFENCING_RESTRICTION", "account_restricted"),
        ("MODIFY_POSITION_WORKFLOW_ALREADY_RUNNING", "busy"),
    ],
)
def test_a_reason_gets_the_fitting_code(reason: str, code: str) -> None:
    """The sender reads one vocabulary, whatever the venue's words are."""
    outcome = COINBASE.verdict(close(), refusal(error=reason))
    assert isinstance(outcome, Refused | Retry)
    assert outcome.code == code
    if isinstance(outcome, Refused):
        assert outcome.alert == (code == "account_restricted")


@pytest.mark.parametrize(
    ("reasons", "decides"),
    [
        ({"new_order_failure_reason": "INVALID_SIDE", "error": "TRADING_DISABLED"}, "INVALID_SIDE"),
        ({"new_order_failure_reason": "UNKNOWN_FAILURE_REASON", "error": "TRADING_DISABLED"}, "TRADING_DISABLED"),
        (
            {
                "new_order_failure_reason": "UNKNOWN_FAILURE_REASON",
                "error": "UNKNOWN_FAILURE_REASON",
                "preview_failure_reason": "PREVIEW_INVALID_SIDE",
            },
            "PREVIEW_INVALID_SIDE",
        ),
        ({"error": "INVALID_SIDE", "preview_failure_reason": "PREVIEW_TRADING_DISABLED"}, "INVALID_SIDE"),
        ({"preview_failure_reason": "UNKNOWN_PREVIEW_FAILURE_REASON"}, "UNKNOWN_PREVIEW_FAILURE_REASON"),
        ({}, None),
    ],
)
def test_the_most_specific_reason_decides(reasons: dict[str, str], decides: str | None) -> None:
    """The undeprecated field goes first, and a placeholder never hides a reason."""
    outcome = COINBASE.verdict(close(), refusal(**reasons))
    assert outcome.venue_code == decides
    assert isinstance(outcome, Unknown) == (decides is None or decides.startswith("UNKNOWN"))


def test_a_reason_that_is_not_listed_proves_nothing() -> None:
    """A new word of the venue is a doubt, not a refusal."""
    for reason in ("BRAND_NEW_REASON", "PREVIEW_DUPLICATE_CLIENT_ORDER_ID", "", "X" * 5000):
        assert isinstance(COINBASE.verdict(close(), refusal(error=reason)), Unknown)


def test_a_success_names_our_order() -> None:
    """`success` with an order id and nothing against it is the only acceptance."""
    assert COINBASE.verdict(close(), reply(success())) == Accepted(order_id="A-1")
    placeholder = {"failure_reason": "UNKNOWN_FAILURE_REASON", "order_id": "A-1"}
    assert COINBASE.verdict(close(), reply(success(**placeholder))) == Accepted(order_id="A-1")
    assert COINBASE.verdict(close(), reply(success(error_response=None))) == Accepted(order_id="A-1")


@pytest.mark.parametrize(
    "body",
    [
        success(error_response={"error": "INVALID_SIDE"}),
        success(error_response={"error": "UNKNOWN_FAILURE_REASON"}),
        success(error_response={}),
        success(error_response={"error": "UNKNOWN_FAILURE_REASON", "error_details": "empty order sizes"}),
        success(failure_reason="INVALID_SIDE"),
        success(order_id="B-2"),
        success(success=False),
        {"success": True},
        {"success": True, "success_response": {"order_id": ""}},
        {"success": True, "success_response": {"order_id": "A-1", "product_id": "ET-28JUL23-CDE"}},
        {"success_response": {"order_id": "A-1"}},
        {"success": False, "order_id": "A-1", "error_response": {"error": "INVALID_SIDE"}},
        {"error_response": {"error": "INVALID_SIDE"}},
        {"success": False},
        {"success": "true", "success_response": {"order_id": "A-1"}},
        {"success": True, "success_response": {"order_id": 7}},
        {"error": "INVALID_ARGUMENT"},
        {},
    ],
)
def test_a_contradiction_is_a_doubt(body: dict[str, Any]) -> None:
    """Neither accepted nor refused unless the answer says so in every place it speaks."""
    assert isinstance(COINBASE.verdict(close(), reply(body)), Unknown)


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (reply(success(error_response={})), "A-1"),
        (reply(success(), 500), "A-1"),
        (reply(success(), 403), "A-1"),
        (reply({"success": False, "order_id": "A-1"}), "A-1"),
        (reply(success(order_id="B-2")), None),
        (reply({"success": False, "order_id": ".."}), None),
        (reply({"success": False, "order_id": "A" * 101}), None),
        (reply({}), None),
    ],
)
def test_an_order_that_an_ambiguous_answer_names_is_kept(answer: Response, named: str | None) -> None:
    """It is what the lookup reads first, when it is one and can be asked for; a cancel's answer names nothing new."""
    outcome = COINBASE.verdict(close(), answer)
    assert isinstance(outcome, Unknown)
    assert outcome.order_id == named
    assert getattr(COINBASE.verdict(cancel(), answer), "order_id", None) is None


@pytest.mark.parametrize("status", [201, 302, 400, 404, 408, 409, 425, 500, 502, 503, 504])
def test_a_success_under_another_status_is_a_doubt(status: int) -> None:
    """An order id under an error status proves neither."""
    assert isinstance(COINBASE.verdict(close(), reply(success(), status)), Unknown)


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_refused_request_that_claims_success_is_a_doubt(status: int) -> None:
    """A status decided before processing cannot come with an order."""
    assert isinstance(COINBASE.verdict(close(), reply(success(), status)), Unknown)
    for claim in ({"success": True}, {"order_id": "A-1"}, {"success_response": {"order_id": "A-1"}}):
        assert isinstance(COINBASE.verdict(close(), reply(claim, status)), Unknown)
    row = {"results": [{"order_id": "A-1", "success": True}]}
    assert isinstance(COINBASE.verdict(cancel(), reply(row, status)), Unknown)


@pytest.mark.parametrize("command", [close(), cancel()], ids=["close", "cancel"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Refused(code="invalid_command", venue_code="INVALID_ARGUMENT", message="bad")),
        (401, Retry(code="auth_failed", venue_code="INVALID_ARGUMENT", message="bad", after_s=0.5, tries=2)),
        (403, Refused(code="account_restricted", venue_code="INVALID_ARGUMENT", message="bad", alert=True)),
        (404, Refused(code="venue_rejected", venue_code="INVALID_ARGUMENT", message="bad", alert=True)),
        (429, Retry(code="rate_limited", venue_code="INVALID_ARGUMENT", message="bad", after_s=1.0)),
    ],
)
def test_a_status_decides_where_the_answer_has_no_result(command: Close | Cancel, status: int, expected: Any) -> None:
    """400, 403 and 404 are final, 401 may be tried twice more, 429 after a while."""
    body = {"error": "INVALID_ARGUMENT", "code": 3, "message": "bad", "details": []}
    assert COINBASE.verdict(command, reply(body, status)) == expected


@pytest.mark.parametrize("command", [close(), cancel()], ids=["close", "cancel"])
@pytest.mark.parametrize("status", [200, 204, 400, 404, 408, 425, 500, 502, 503, 504, 520])
@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"Unauthorized", b'{"success":', b"[]", b"1"])
def test_a_page_that_is_not_the_venues_proves_nothing(command: Close | Cancel, status: int, body: bytes) -> None:
    """Whatever stands between us and the venue may answer after the order was executed."""
    assert isinstance(COINBASE.verdict(command, Response(status, {}, body)), Unknown)


@pytest.mark.parametrize("status", [201, 202, 302, 408, 409, 422, 425, 500, 502, 503, 504])
def test_a_refusal_under_an_outage_is_not_believed(status: int) -> None:
    """A listed reason proves "not executed" only where the venue itself can have answered."""
    body = {"success": False, "error_response": {"error": "INVALID_SIDE"}, "error": "INVALID_SIDE"}
    assert isinstance(COINBASE.verdict(close(), reply(body, status)), Unknown)
    gone = {"results": [{"order_id": "A-1", "success": False, "failure_reason": "NOT_ALLOWED_TO_CANCEL"}]}
    assert isinstance(COINBASE.verdict(cancel(), reply(gone, status)), Unknown)


def test_a_plain_text_401_is_tried_again() -> None:
    """The venue's own 401 is text, and it comes before the order is looked at."""
    outcome = COINBASE.verdict(close(), Response(401, {}, b"Unauthorized"))
    message = "HTTP 401 without a body of the venue's own"
    assert outcome == Retry(code="auth_failed", venue_code="401", message=message, after_s=0.5, tries=2)


@pytest.mark.parametrize("command", [close(), cancel()], ids=["close", "cancel"])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_a_401_or_403_without_a_body_was_not_executed(command: Close | Cancel, body: bytes) -> None:
    """An edge refused it: two more tries, or an operator."""
    outcome = COINBASE.verdict(command, Response(401, {}, body))
    assert isinstance(outcome, Retry)
    assert (outcome.code, outcome.tries) == ("auth_failed", 2)
    refused = COINBASE.verdict(command, Response(403, {}, body))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.alert) == ("account_restricted", True)


def test_a_refused_timestamp_is_told_from_a_refused_key() -> None:
    """Then the venue's own clock can help."""
    for text in ("token is expired", "nbf: not yet valid", "timestamp is too far in the future"):
        outcome = COINBASE.verdict(close(), reply({"error": "unauthorized", "message": text}, 401))
        assert isinstance(outcome, Retry)
        assert (outcome.code, outcome.tries) == ("clock_skew", 2)


@pytest.mark.parametrize("status", [405, 415, 422])
def test_a_framework_s_refusal_is_one(status: int) -> None:
    """In the generic error body of this API; a result under such a status is a doubt."""
    outcome = COINBASE.verdict(close(), reply({"error": "unknown", "message": "no"}, status))
    assert isinstance(outcome, Refused)
    assert outcome.message == "no"
    assert isinstance(COINBASE.verdict(close(), Response(status, {}, b"<html>")), Unknown)
    assert isinstance(COINBASE.verdict(close(), reply(success(), status)), Unknown)


@pytest.mark.parametrize(
    ("hint", "after_s"), [("7", 7.0), ("0", 1.0), ("soon", 1.0), ("\u00b2", 1.0), ("", 1.0), ("-3", 1.0)]
)
def test_a_throttled_request_waits_at_least_a_second(hint: str, after_s: float) -> None:
    """A 429 was not executed; its hint counts when it is longer than a second and readable."""
    outcome = COINBASE.verdict(close(), Response(429, {"retry-after": hint}, b""))
    assert isinstance(outcome, Retry)
    assert outcome.after_s == after_s


def test_a_reason_under_400_is_still_the_reason() -> None:
    """Which HTTP status a flat position gets is not documented: the reason decides."""
    body = {"success": False, "error_response": {"error": "CANNOT_CLOSE_ZERO_POSITION"}}
    assert isinstance(COINBASE.verdict(close(), reply(body, 400)), Done)
    assert isinstance(COINBASE.verdict(close(), reply({"error": "DUPLICATE_CLIENT_ORDER_ID"}, 400)), Look)
    outcome = COINBASE.verdict(cancel(), reply({"error": "CANNOT_CLOSE_ZERO_POSITION"}, 400))
    assert isinstance(outcome, Refused)
    assert outcome.code == "invalid_command"


@pytest.mark.parametrize(
    "body",
    [
        {"error_response": {"error": "INVALID_SIDE"}, "error": "INVALID_SIDE"},
        {"results": [], "error": "INVALID_SIDE"},
        {"results": [{"order_id": "A-1", "success": True}]},
        {"success": True},
    ],
)
def test_a_half_answer_under_400_is_a_doubt(body: dict[str, Any]) -> None:
    """An error status speaks for itself only where the body has no part of a result."""
    assert isinstance(COINBASE.verdict(close(), reply(body, 400)), Unknown)
    assert isinstance(COINBASE.verdict(cancel(), reply(body, 400)), Unknown)


@pytest.mark.parametrize("field", ["error_details", "message"])
def test_the_venues_words_reach_the_sender(field: str) -> None:
    """Whichever of its two text fields the venue fills, people can read why, in a length that fits a log line."""
    for answer in (refusal(error="INVALID_SIDE", **{field: "w" * 900}), reply({field: "w" * 900}, 400)):
        outcome = COINBASE.verdict(close(), answer)
        assert isinstance(outcome, Refused)
        assert outcome.message == "w" * 200
    outcome = COINBASE.verdict(close(), refusal(error="X" * 900))
    assert outcome.venue_code == "X" * 100


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"error_response":' * 20_000,
        b"\xff\xfe",
        b'"\\ud800"',
        b'{"error":"\\ud800"}',
        b"1" * 5000,
        b'{"success":1e999}',
        b'{"success":true,"success_response":[]}',
        b'{"results":{"a":1}}',
        b'{"results":[null]}',
        b"null",
        b"NaN",
    ],
)
@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_no_body_makes_a_verdict_or_a_look_raise(body: bytes, status: int) -> None:
    """Hostile bytes end in a value, never in an exception."""
    response = Response(status, {"retry-after": "\u00b2", "date": "x"}, body)
    for command in (close(), cancel()):
        COINBASE.verdict(command, response)
        assert isinstance(look(command, response), Unknown)
    flow = COINBASE.probe()
    next(flow)
    with pytest.raises(StopIteration) as stop:
        flow.send(response)
    assert isinstance(stop.value.value, Refused)


# --- answers to a cancel


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("UNKNOWN_CANCEL_FAILURE_REASON", Unknown()),
        ("INVALID_CANCEL_REQUEST", Look()),
        ("UNKNOWN_CANCEL_ORDER", Look()),
        ("COMMANDER_REJECTED_CANCEL_ORDER", Look()),
        ("DUPLICATE_CANCEL_REQUEST", Look()),
        ("INVALID_CANCEL_PRODUCT_ID", Refused(code="invalid_command")),
        ("INVALID_CANCEL_FCM_TRADING_SESSION", Retry(code="market_closed", after_s=10.0)),
        ("NOT_ALLOWED_TO_CANCEL", Refused(code="venue_rejected")),
        ("ORDER_IS_FULLY_FILLED", Look()),
        ("ORDER_IS_BEING_REPLACED", Retry(code="venue_rejected", after_s=1.0)),
        ("SOMETHING_ELSE", Unknown()),
    ],
)
def test_a_cancels_reason_means_what_its_class_says(reason: str, expected: Any) -> None:
    """A closed session makes a cancel wait; whatever may mean "gone" is looked at."""
    outcome = COINBASE.verdict(cancel(), cancel_row(False, reason))
    assert outcome == msgspec.structs.replace(expected, venue_code=reason)


def test_a_submitted_cancel_is_accepted() -> None:
    """Success is filled with the placeholder reason; anything else beside it is a doubt."""
    taken = Accepted(order_id="A-1")
    assert COINBASE.verdict(cancel(), cancel_row(True, "UNKNOWN_CANCEL_FAILURE_REASON")) == taken
    assert COINBASE.verdict(cancel(), cancel_row(True, "")) == taken
    assert isinstance(COINBASE.verdict(cancel(), cancel_row(True, "NOT_ALLOWED_TO_CANCEL")), Unknown)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"order_id": "B-2", "success": True}],
        [{"order_id": "A-1", "success": True}, {"order_id": "A-1", "success": False}],
        [{"order_id": "A-1"}],
        [{"success": True}],
    ],
)
def test_a_cancels_row_is_found_by_its_order(rows: list[dict[str, Any]]) -> None:
    """A row that is missing, foreign or there twice says nothing about our order."""
    assert isinstance(COINBASE.verdict(cancel(), reply({"results": rows})), Unknown)


# --- looking for a close


def is_seen(sight: Sight) -> bool:
    """Say whether a look saw what may be ours and decided nothing."""
    return isinstance(sight, Unknown) and sight.seen


@pytest.mark.parametrize(
    ("status", "filled", "expected"),
    [
        ("FILLED", "3", "filled"),
        ("OPEN", "0", "working"),
        ("OPEN", "1", "partially_filled"),
        ("PENDING", "0", "working"),
        ("QUEUED", "0", "working"),
        ("CANCELLED", "1", "canceled"),
        ("EXPIRED", "0", "expired"),
        ("FAILED", "1", "rejected"),
        ("UNKNOWN_ORDER_STATUS", "0", "unknown"),
        ("SOMETHING_ELSE", "0", "unknown"),
    ],
)
def test_an_order_with_our_client_id_is_our_close(status: str, filled: str, expected: Any) -> None:
    """The order exists, so the close was taken, whatever became of it."""
    sight = look(close(), orders(order("B-2", OTHERS), order(status=status, filled_size=filled)), orders())
    state = OrderState(
        status=expected, size="3", filled_size=filled, average_price="30123.5" if status == "FILLED" else None
    )
    assert sight == Accepted(order_id="A-1", order=state)


def test_our_order_that_failed_unfilled_is_a_refusal() -> None:
    """The venue made the order and failed it: nothing was executed; an unreadable fill is a doubt."""
    sight = look(close(), orders(order(status="FAILED")), orders())
    assert isinstance(sight, Refused)
    assert (sight.code, sight.order_id, sight.order and sight.order.status) == ("venue_rejected", "A-1", "rejected")
    assert isinstance(look(close(), orders(order(status="FAILED", filled_size=None)), orders()), Refused)
    assert isinstance(look(close(), orders(order(status="FAILED", filled_size={"value": "1"})), orders()), Unknown)


def test_both_placement_sources_are_read_and_every_page() -> None:
    """The default hides orders of other sources, and a list is read to its end."""
    flow = COINBASE.lookup(close(), Attempt(client_order_id=OURS, sent_ms=SENT_MS, now_ms=SENT_MS, window_ms=10_000))
    sight, asked = run(flow, orders(order("B-2", OTHERS), has_next=True, cursor="c1"), orders(), orders(order()))
    assert isinstance(sight, Accepted)
    base = (("product_ids", SYMBOL), ("start_date", "2023-11-14T22:11:05.999Z"))  # 135 s before the send
    assert [request.query for request in asked] == [
        base,
        (*base, ("cursor", "c1")),
        (*base, ("order_placement_source", "RETAIL_SIMPLE")),
    ]
    assert {(request.method, request.scopes) for request in asked} == {("GET", ("private",))}


def test_two_orders_with_our_client_id_are_a_doubt() -> None:
    """One id on two orders is an alarm, not an answer."""
    assert is_seen(look(close(), orders(order("A-1")), orders(order("B-2"))))
    assert isinstance(look(close(), orders(order("A-1")), orders(order("A-1"))), Accepted)


def test_nothing_ordered_and_nothing_filled_is_absent() -> None:
    """Only complete reads, and a position that is still there, may count towards "it was not executed"."""
    assert isinstance(look(close(), orders(), orders(), fills(), positions("3")), Absent)
    assert isinstance(look(close(), orders(order("B-2", OTHERS)), orders(), fills(), positions("3")), Absent)


def test_a_position_that_is_gone_without_explanation_is_never_absent() -> None:
    """A row that vanished proves nothing: our order and its fill may just not be shown."""
    assert is_seen(look(close(), orders(), orders(), fills(), positions()))
    assert is_seen(look(close(), orders(), orders(), fills(), positions("0")))


def test_fills_are_read_from_as_far_back_as_the_clocks_may_differ() -> None:
    """A venue whose clock is behind dates our fill before our send."""
    attempt = Attempt(client_order_id=OURS, sent_ms=SENT_MS, now_ms=SENT_MS, window_ms=10_000)
    _, asked = run(COINBASE.lookup(close(), attempt), orders(), orders(), fills(), positions("3"))
    assert asked[2].query == (("product_ids", SYMBOL), ("start_sequence_timestamp", "2023-11-14T22:13:05.999Z"))


def test_fills_of_listed_orders_of_others_need_no_read() -> None:
    """A busy account does not make a look fail: the lists have told whose those orders are."""
    busy = [order(f"B-{n}", OTHERS) for n in range(21)]
    filled = fills(*(f"B-{n}" for n in range(21)))
    assert isinstance(look(close(), orders(*busy), orders(), filled, positions("3")), Absent)
    assert look(close(), orders(*busy), orders(), filled, positions()) == Done()


def test_what_was_seen_stays_seen_when_the_next_read_fails() -> None:
    """Our order, or one that may be ours, is not forgotten because the second list cannot be read."""
    for first in (orders(order()), orders(order("B-2", ""))):
        assert is_seen(look(close(), first, reply({}, 503)))
    assert is_seen(look(close(), orders(order("B-2", "")), orders(), reply({}, 503)))
    nameless_fill = (fills("B-2"), reply({"order": order("B-2", "")}))
    for broken in (reply({}, 503), positions({"value": 3})):
        assert is_seen(look(close(), orders(), orders(), *nameless_fill, broken))
    two = (fills("B-2", "C-3"), reply({"order": order("B-2", "")}), reply({}, 503))
    assert is_seen(look(close(), orders(), orders(), *two))
    sight = look(close(), orders(), reply({}, 503))
    assert isinstance(sight, Unknown)
    assert not sight.seen


def test_a_duplicate_id_means_that_our_order_exists() -> None:
    """The venue said so: it is looked for days back, and not finding it never counts as absent."""
    code = "DUPLICATE_CLIENT_ORDER_ID"
    attempt = Attempt(client_order_id=OURS, sent_ms=SENT_MS, now_ms=SENT_MS, venue_code=code)
    sight, asked = run(COINBASE.lookup(close(), attempt), orders(order()), orders())
    assert isinstance(sight, Accepted)
    assert dict(asked[0].query)["start_date"] == "2023-11-07T22:13:15.999Z"
    unseen = (orders(), orders(), fills(), positions("3"))
    assert is_seen(look(close(), *unseen, venue_code=code))


def test_an_order_without_a_client_id_may_be_ours() -> None:
    """Whether a close always carries the client id is not known, so such an order forbids "absent"."""
    nameless = orders(order("B-2", ""))
    assert is_seen(look(close(), nameless, orders(), fills(), positions("3")))
    assert isinstance(look(close(), nameless, orders(), fills(), positions("3"), taken=frozenset({"B-2"})), Absent)
    somebodys = (fills("C-3"), reply({"order": order("C-3", OTHERS)}), positions())
    assert look(close(), nameless, orders(), *somebodys) == Done()
    nameless_fill = (fills("B-2"), reply({"order": order("B-2", "")}), positions("3"))
    assert is_seen(look(close(), orders(), orders(), *nameless_fill))


def test_our_order_is_found_through_its_fill() -> None:
    """A fill leads to its order where the lists do not show it."""
    sight = look(
        close(),
        orders(),
        orders(),
        fills("B-2", "A-1"),
        reply({"order": order("B-2", OTHERS)}),
        reply({"order": order()}),
    )
    assert isinstance(sight, Accepted)
    assert sight.order_id == "A-1"


def test_a_position_made_flat_by_somebody_else_is_done() -> None:
    """The goal holds, without an order of ours."""
    stranger = (fills("B-2"), reply({"order": order("B-2", OTHERS)}))
    assert look(close(), orders(), orders(), *stranger, positions()) == Done()
    assert look(close(), orders(), orders(), *stranger, positions("0")) == Done()
    assert isinstance(look(close(), orders(), orders(), *stranger, positions("3")), Absent)
    assert isinstance(look(close(), orders(), orders(), *stranger, positions({"value": 3})), Unknown)


def test_a_fill_from_before_the_send_does_not_prove_flat() -> None:
    """It may have opened the position that a stale list does not show yet."""
    before = fills("B-2", time="2023-11-14T22:13:20.998Z")
    assert is_seen(look(close(), orders(), orders(), before, reply({"order": order("B-2", OTHERS)}), positions()))
    for time in ("", "yesterday", "2023-11-14T22:13:21"):
        unread = fills("B-2", time=time)
        assert is_seen(look(close(), orders(), orders(), unread, reply({"order": order("B-2", OTHERS)}), positions()))


def test_a_fill_of_another_command_attributes_nothing() -> None:
    """An order that belongs to another command cannot have closed this one's position for it."""
    taken = frozenset({"B-2"})
    assert is_seen(look(close(), orders(), orders(), fills("B-2"), positions(), taken=taken))
    assert isinstance(look(close(), orders(), orders(), fills("B-2"), positions("3"), taken=taken), Absent)


def test_a_known_order_id_is_read_first() -> None:
    """An answer or a feed named it: it is ours if it carries our client id, and if not, nothing is absent."""
    assert isinstance(look(close(), reply({"order": order()}), order_id="A-1"), Accepted)
    rest = (orders(), orders(), fills(), positions("3"))
    for known in (reply({"order": order("A-1", OTHERS)}), reply({"order": order("A-1", "")}), reply({}, 404)):
        assert is_seen(look(close(), known, *rest, order_id="A-1"))
        assert isinstance(look(close(), known, orders(order()), orders(), order_id="A-1"), Accepted)
    assert is_seen(look(close(), reply({}, 500), order_id="A-1"))


BROKEN = [
    reply({}, 500),
    reply({"orders": []}, 401),
    reply({}),
    reply({"orders": None}),
    reply({"orders": [{}]}),
    reply({"orders": [order("")]}),
    reply({"orders": [], "has_next": True, "cursor": ""}),
    Response(200, {}, b"<html>"),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_list_that_cannot_be_read_whole_is_a_doubt(broken: Response) -> None:
    """What a broken read does not show is not absent."""
    assert isinstance(look(close(), broken), Unknown)
    assert isinstance(look(close(), orders(), broken), Unknown)


HIDING = json.loads((Path(__file__).parent.parent.parent / "fixtures/coinbase/list_hides_rows.json").read_text())
HIDES = {"proof_token_required": True}


def test_a_list_that_says_it_hides_rows_proves_nothing() -> None:
    """Any list: executed, answer lost, and no order shown: that must never become `rejected`."""
    hidden_orders, hidden_fills = reply(HIDING["orders"]), reply(HIDING["fills"])
    for answers in (
        [hidden_orders],
        [orders(), hidden_orders],
        [orders(), orders(), hidden_fills],
        [orders(), orders(), fills(), reply({"positions": [], **HIDES})],
        [orders(has_next=True, cursor="c1"), hidden_orders],
    ):
        sight = look(close(), *answers)
        assert isinstance(sight, Unknown)
        assert not sight.whole


@pytest.mark.parametrize("flag", [True, "true", 1, {}, ["x"]])
def test_the_flag_counts_in_any_form(flag: Any) -> None:
    """Only false and nothing at all say that nothing is hidden."""
    sight = look(close(), reply({"orders": [], "has_next": False, "proof_token_required": flag}))
    assert isinstance(sight, Unknown)
    assert not sight.whole
    shown = reply({"orders": [], "has_next": False, "proof_token_required": False})
    assert isinstance(look(close(), shown, shown, fills(), positions("3")), Absent)


def test_what_a_list_that_hides_rows_shows_all_the_same_is_seen() -> None:
    """Our order among its rows is a sign of it, and no reason to look away."""
    assert is_seen(look(close(), reply({"orders": [order()], "has_next": False, **HIDES})))


@pytest.mark.parametrize(
    "torn",
    [
        {"orders": [], "has_next": True, "cursor": ""},
        {"orders": [], "has_next": True},
        {"orders": [], "has_next": False, "error": "INTERNAL"},
        {"orders": [], "has_next": False, "errors": [{"id": "internal", "message": "try again"}]},
        {"orders": [order("B-2", OTHERS, product_id="BTC-USD")], "has_next": False},
    ],
)
def test_a_list_that_is_not_whole_proves_nothing(torn: dict[str, Any]) -> None:
    """More without a cursor, an error inside a 200, a filter that was ignored: ours may be what is not shown."""
    for answers in ([reply(torn)], [orders(), reply(torn)], [orders(has_next=True, cursor="c1"), reply(torn)]):
        sight = look(close(), *answers)
        assert isinstance(sight, Unknown)
        assert not sight.whole


def test_a_page_that_fails_in_the_middle_proves_nothing() -> None:
    """What came before it is seen; what would have come after it is not absent."""
    for failed in (reply({}, 503), Response(200, {}, b"<html>"), reply({"orders": None})):
        sight = look(close(), orders(order("B-2", ""), has_next=True, cursor="c1"), failed)
        assert isinstance(sight, Unknown)
        assert (sight.seen, sight.whole) == (True, False)
        more_fills = [orders(), orders(), fills("B-2", cursor="c1"), failed]
        torn = look(close(), *more_fills)
        assert isinstance(torn, Unknown)
        assert not torn.whole


@pytest.mark.parametrize("kind", ["REVERSAL", "CORRECTION", "SYNTHETIC"])
def test_a_row_of_fills_that_is_no_execution_closed_nothing(kind: str) -> None:
    """Only `trade_type` FILL shows that somebody else made the position flat."""
    row = {"order_id": "B-2", "product_id": SYMBOL, "trade_time": "2023-11-14T22:13:21.999Z", "trade_type": kind}
    stranger = reply({"order": order("B-2", OTHERS)})
    assert is_seen(look(close(), orders(), orders(), reply({"fills": [row]}), stranger, positions()))
    filled = reply({"fills": [row | {"trade_type": "FILL"}]})
    assert look(close(), orders(), orders(), filled, stranger, positions()) == Done()


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_may_not_read_stops_the_look(status: int) -> None:
    """To ask again with it tells nothing."""
    refused = Response(status, {}, b"")
    unread = ([refused], [orders(), refused], [orders(), orders(), refused], [orders(), orders(), fills(), refused])
    for answers in unread:
        sight = look(close(), *answers)
        assert isinstance(sight, Unknown)
        assert (sight.denied, sight.whole) == (True, False)
    sight = look(cancel(), refused)
    assert isinstance(sight, Unknown)
    assert sight.denied


def test_a_broken_fill_order_or_position_is_a_doubt() -> None:
    """Every read of the way must hold."""
    assert isinstance(look(close(), orders(), orders(), reply({}, 503)), Unknown)
    assert is_seen(look(close(), orders(), orders(), fills("B-2"), reply({}, 404)))
    assert isinstance(look(close(), orders(), orders(), fills("..")), Unknown)
    stranger = (fills("B-2"), reply({"order": order("B-2", OTHERS)}))
    assert isinstance(look(close(), orders(), orders(), *stranger, reply({})), Unknown)
    assert isinstance(look(close(), orders(), orders(), *stranger, reply({"positions": []}, 500)), Unknown)
    assert isinstance(look(close(), orders(), orders(), fills(*(f"B-{n}" for n in range(21)))), Unknown)


def test_endless_paging_is_a_doubt() -> None:
    """A list that never ends, or goes round, is not read whole."""
    assert isinstance(look(close(), *(orders(has_next=True, cursor=f"c{n}") for n in range(20))), Unknown)
    assert isinstance(look(close(), *(orders(has_next=True, cursor="c") for _ in range(2))), Unknown)
    pages = (fills("B-2", cursor="c1"), fills(cursor="c2"))
    stranger = reply({"order": order("B-2", OTHERS)})
    assert look(close(), orders(), orders(), *pages, stranger, positions()) == Done()


# --- looking for a cancel


@pytest.mark.parametrize(
    ("fields", "kind", "state"),
    [
        ({"status": "OPEN"}, Working, "working"),
        ({"status": "OPEN", "filled_size": "1"}, Working, "partially_filled"),
        ({"status": "PENDING"}, Working, "working"),
        ({"status": "QUEUED"}, Working, "working"),
        ({"status": "EDIT_QUEUED"}, Working, "working"),
        ({"status": "CANCEL_QUEUED"}, Accepted, "working"),
        ({"status": "OPEN", "pending_cancel": True}, Accepted, "working"),
        ({"status": "CANCELLED"}, Done, "canceled"),
        ({"status": "CANCELLED", "filled_size": "2"}, Done, "canceled"),
        ({"status": "EXPIRED"}, Done, "expired"),
        ({"status": "FAILED"}, Done, "rejected"),
        ({"status": "FILLED"}, Refused, "filled"),
    ],
)
def test_the_orders_state_answers_a_cancel(fields: dict[str, Any], kind: type, state: str) -> None:
    """Live: cancel again; being cancelled: accepted; gone: done; filled: too late."""
    sight = look(cancel(), reply({"order": order(client_order_id=OTHERS, **fields)}))
    assert type(sight) is kind
    assert isinstance(sight, Working | Accepted | Done | Refused)
    assert sight.order is not None
    assert (sight.order_id, sight.order.status) == ("A-1", state)
    if isinstance(sight, Refused):
        assert sight.code == "too_late"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply({"error": "NOT_FOUND"}, 404), Absent),
        (Response(404, {}, b"Not Found"), Absent),
        (reply({"error": "INVALID_ARGUMENT"}, 400), Absent),
        (Response(404, {}, b" <html>404</html>"), Unknown),
        (reply({"error": "other"}, 400), Unknown),
        (reply({"error": "INVALID_ARGUMENT"}, 500), Unknown),
        (reply({"order": order()}, 500), Unknown),
        (reply({"order": order() | {"status": None}}), Unknown),
        (reply({}, 401), Unknown),
        (reply({}, 500), Unknown),
        (reply({}), Unknown),
        (reply({"order": None}), Unknown),
        (reply({"order": order("B-2")}), Unknown),
        (reply({"order": order(status="UNKNOWN_ORDER_STATUS")}), Unknown),
        (reply({"order": order(status="NEW_STATUS")}), Unknown),
    ],
)
def test_an_order_that_is_not_shown_is_absent_or_a_doubt(answer: Response, kind: type) -> None:
    """Only the venue's own "no such order" counts as absent, and even that proves nothing by itself."""
    assert type(look(cancel(), answer)) is kind


def test_an_order_that_the_venue_denies_twice_is_not_found_within_seconds() -> None:
    """A new order may be unreadable for seconds, not for the quarantine of a close."""
    gone = reply({"error": "NOT_FOUND"}, 404)

    def sight(after_ms: int, *answers: Response, code: str | None = "UNKNOWN_CANCEL_ORDER") -> Sight:
        attempt = Attempt(client_order_id=OURS, sent_ms=SENT_MS, now_ms=SENT_MS + after_ms, venue_code=code)
        return run(COINBASE.lookup(cancel(), attempt), *answers)[0]

    assert isinstance(sight(4_999, gone), Absent)
    wanted = Refused(code="order_not_found", venue_code="UNKNOWN_CANCEL_ORDER", order_id="A-1")
    assert sight(5_000, gone, gone) == wanted
    assert isinstance(sight(5_000, gone, reply({"order": order(status="OPEN")})), Working)
    assert isinstance(sight(5_000, gone, reply({}, 503)), Unknown)
    assert isinstance(sight(60_000, gone, code=None), Absent)
    attempt = Attempt(client_order_id=OURS, sent_ms=0, now_ms=9_000, venue_code="UNKNOWN_CANCEL_ORDER")
    _, asked = run(COINBASE.lookup(cancel(), attempt), gone, gone)
    assert asked[0] != asked[1], "a shared answer would not be a second one"


def test_a_lookup_without_a_target_asks_nothing() -> None:
    """There is nothing to read for a command that names no order."""
    assert isinstance(look(cancel(order_id=None)), Unknown)


def test_sizes_keep_the_venues_text() -> None:
    """A number where a string is due is read digit by digit, never as a float."""
    body = (
        b'{"order":{"order_id":"A-1","status":"CANCELLED","filled_size":0.30000000000000004,'
        b'"average_filled_price":"1.10","order_configuration":{"limit_limit_gtc":{"base_size":7}}}}'
    )
    sight = look(cancel(), Response(200, {}, body))
    state = OrderState(status="canceled", size="7", filled_size="0.30000000000000004", average_price="1.10")
    assert sight == Done(order_id="A-1", order=state)


# --- probe


KEY = reply({"can_view": True, "can_trade": True, "can_transfer": False, "portfolio_uuid": "p-1"})
READS = ("key_permissions", "list_orders", "list_fills", "list_positions", "get_order")
FINE = (KEY, orders(), fills(), positions(), reply({"error": "NOT_FOUND"}, 404))


def probed(*answers: Response) -> tuple[Refused | None, list[str]]:
    """Return what the probe makes of these answers, and what it read."""
    flow, asked = COINBASE.probe(), list[str]()
    try:
        asked.append(next(flow).endpoint)
        for answer in answers:
            asked.append(flow.send(answer).endpoint)
    except StopIteration as stop:
        found: Refused | None = stop.value
        return found, asked
    raise AssertionError("the probe asks on")


def test_the_probe_reads_whatever_will_be_needed() -> None:
    """The key's own permissions, then every list that a lookup or the feed reads."""
    assert probed(*FINE) == (None, list(READS))


@pytest.mark.parametrize("lacking", ["can_view", "can_trade"])
def test_a_key_must_view_and_trade(lacking: str) -> None:
    """A key that is taken but may not trade would fail on the first order; the refusal names its portfolio."""
    found, _ = probed(reply({"can_view": True, "can_trade": True, "portfolio_uuid": "p-1", lacking: False}))
    assert found is not None
    assert (found.code, found.alert) == ("account_restricted", True)
    assert lacking in found.message
    assert "p-1" in found.message


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response(401, {}, b"Unauthorized"), "auth_failed"),
        (reply({"error": "PERMISSION_DENIED", "error_details": "Missing required scopes"}, 403), "account_restricted"),
        (Response(403, {}, b"<html>"), "account_restricted"),
        (reply({}, 500), "venue_unavailable"),
        (Response(200, {}, b"<html>"), "venue_unavailable"),
    ],
)
def test_the_probe_names_what_is_refused(place: int, answer: Response, code: str) -> None:
    """The first read that fails ends it."""
    found, asked = probed(*FINE[:place], answer)
    assert found is not None
    assert (found.code, asked[-1]) == (code, READS[place])
    assert READS[place] in found.message


def test_a_key_from_which_rows_are_hidden_is_named_at_the_start() -> None:
    """No lookup could ever end with it."""
    found, asked = probed(KEY, reply(HIDING["orders"]))
    assert found is not None
    assert (found.code, asked[-1]) == ("account_restricted", "list_orders")
    assert "proof_token_required" in found.message


def test_a_key_whose_permissions_cannot_be_read_is_not_healthy() -> None:
    """Nothing said is nothing allowed."""
    found, _ = probed(reply({}))
    assert found is not None
    assert found.code == "venue_unavailable"
