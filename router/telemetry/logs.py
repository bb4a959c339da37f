"""Logs: one JSON object a line on stderr, coloured text when that is a terminal, and never a secret.

Each line names its pod. Repeats of one cause are folded (`router.telemetry.folding`), and what comes from outside holds
nothing that a terminal would obey. Against secrets there are two nets. Keys that carry credentials by their nature
(`authorization`, `signature`, `body` …) are dropped, and every known secret value is cut out of every text, tracebacks
and the records of other libraries included.
"""

import datetime
import logging
import os
import re
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Final, TextIO, cast
from urllib.parse import quote, quote_plus

import msgspec
import structlog

from router.telemetry.folding import Folding
from router.telemetry.log_output import LogOutput

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

POD: Final = os.environ.get("ORDER_ROUTER_POD") or (
    socket.gethostname() if os.getpid() == 1 else f"{socket.gethostname()}-{os.getpid()}"
)
"""Which process this is: the pod's name in Kubernetes. Where a machine runs several the process id tells them apart."""
_OBEYED: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys: controls, and what turns the direction of a text. Line ends and tabs are kept."""

_pattern: re.Pattern[str] | None = None
_folding = Folding()
_encoder = msgspec.json.Encoder(enc_hook=lambda value: redact(repr(value)))


def redact(text: str) -> str:
    """Return the text without any secret that `configure_logging` was told."""
    return _pattern.sub(HIDDEN, text) if _pattern is not None and text else text


def harmless(text: str) -> str:
    """Return the text with what a terminal would obey spelled out; the lines of a traceback stay lines."""
    return text if text.isprintable() else _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def tell_folded(*, all_of_them: bool = False) -> None:
    """Write a line for each cause whose repeats were folded for long enough, or at the end for every one."""
    log = structlog.get_logger()
    for line in _folding.ended(all_of_them=all_of_them):
        level = {"critical": logging.CRITICAL, "error": logging.ERROR, "warning": logging.WARNING}
        log.log(level.get(line.get("level", ""), logging.INFO), line["event"], **_told_again(line))


def _told_again(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in line.items() if name not in {"event", "level", "pod", "timestamp", "exc_info"}
    }


def configure_logging(secrets: Iterable[str], *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send this process's logs, other libraries' warnings included, to `stream` (stderr). May be called again."""
    global _pattern, _folding  # noqa: PLW0603 - logging is one per process
    _folding = Folding()
    shapes = sorted({shape for secret in secrets for shape in _shapes(secret)}, key=len, reverse=True)
    _pattern = re.compile("|".join(map(re.escape, shapes))) if shapes else None
    stream = stream or sys.stderr
    terminal = stream.isatty()
    output = LogOutput(stream, _lost_on_terminal if terminal else _lost)
    render: Callable[..., Any] = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback, pad_event_to=0)
        if terminal
        else _render_json
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _folding,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso", utc=True),
            *(() if terminal else (_with_pod,)),
            structlog.processors.format_exc_info,
            _without_secrets,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, output)),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Bridge()], level=max(level, logging.WARNING), force=True)
    logging.captureWarnings(capture=True)


def _lost(lines: int) -> str:
    now = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
    line = {"timestamp": now, "level": "warning", "event": "log lines were lost", "pod": POD, "lines": lines}
    return _encoder.encode(line).decode() + "\n"


def _lost_on_terminal(lines: int) -> str:
    return f"({lines} lines were lost here)\n"


def _with_pod(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say which process it was, and begin with what every line has."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return {**first, "pod": POD, **event}


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
        return harmless(redact(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return harmless(redact(bytes(value).decode(errors="replace")))
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        return _cleaned_mapping(value, depth)
    if depth < _MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(item, depth + 1) for item in value]
    return harmless(redact(repr(value)))


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
