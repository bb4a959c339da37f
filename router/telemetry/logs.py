"""Logs: one JSON object a line on stderr, readable text when that is a terminal, and never a secret.

Two nets. Keys that carry credentials by their nature (`authorization`, `signature`, `body` …) are dropped, and every
known secret value is cut out of every text, tracebacks and the records of other libraries included.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Final, TextIO
from urllib.parse import quote, quote_plus

import msgspec
import structlog

HIDDEN: Final = "[redacted]"
MIN_SECRET: Final = 4
"""A shorter secret would cut ordinary words to pieces, and protects nothing."""

DROPPED: Final = frozenset(
    {
        "authorization",
        "api-key",
        "api-secret",
        "api-sign",
        "body",
        "cookie",
        "headers",
        "jwt",
        "password",
        "secret",
        "signature",
        "token",
        "x-api-key",
        "x-pck",
        "x-signature",
    }
)
_MIN_LINE: Final = 16
_MAX_DEPTH: Final = 6

_pattern: re.Pattern[str] | None = None
_encoder = msgspec.json.Encoder(enc_hook=lambda value: redact(repr(value)))


def redact(text: str) -> str:
    """Return the text without any secret that `configure_logging` was told."""
    return _pattern.sub(HIDDEN, text) if _pattern is not None and text else text


def configure_logging(secrets: Iterable[str], *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send this process's logs, other libraries' warnings included, to `stream` (stderr). May be called again."""
    global _pattern  # noqa: PLW0603 - logging is one per process
    shapes = sorted({shape for secret in secrets for shape in _shapes(secret)}, key=len, reverse=True)
    _pattern = re.compile("|".join(map(re.escape, shapes))) if shapes else None
    stream = stream or sys.stderr
    render: Callable[..., Any] = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if stream.isatty()
        else _render_json
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _without_secrets,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Bridge()], level=max(level, logging.WARNING), force=True)
    logging.captureWarnings(capture=True)


def _without_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Drop what must not be logged and cut secrets out of the rest: a structlog processor."""
    return _cleaned_mapping(event, 0)


def _cleaned_mapping(values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {
        redact(str(key)): _cleaned(value, depth + 1)
        for key, value in values.items()
        if str(key).lower().replace("_", "-") not in DROPPED
    }


def _cleaned(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return redact(bytes(value).decode(errors="replace"))
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        return _cleaned_mapping(value, depth)
    if depth < _MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(item, depth + 1) for item in value]
    return redact(repr(value))


def _render_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return _encoder.encode(event).decode()


def _shapes(secret: str) -> Iterator[str]:
    """Yield the forms in which a secret may turn up: as it is, quoted, escaped, and each long line of a PEM key."""
    if len(secret.strip()) < MIN_SECRET:
        return
    lines = (line.strip() for line in re.split(r"\\n|\n", secret))
    for text in {secret.strip(), *(line for line in lines if len(line) >= _MIN_LINE and not line.startswith("-----"))}:
        yield from {
            text,
            quote(text, safe=""),
            quote_plus(text),
            repr(text)[1:-1],
            msgspec.json.encode(text).decode()[1:-1],
        }


class _Bridge(logging.Handler):
    """Passes the standard library's records on, so that every line has one form and one redaction."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        try:
            text = record.getMessage()
        except (ValueError, TypeError, LookupError):
            # Not `handleError`: it would print the arguments as they are.
            text = "a record whose arguments do not fit its text"
        try:
            log.log(record.levelno, text, logger=record.name, exc_info=record.exc_info or False)
        except (OSError, ValueError):
            pass  # the stream is closed: there is nowhere left to say so
