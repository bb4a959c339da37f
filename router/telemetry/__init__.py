"""What an operator sees of a running process: logs without secrets, and metrics (contract, section 7)."""

from router.telemetry.endings import doubted, final, needs_operator
from router.telemetry.logs import configure_logging, redact, tell_folded
from router.telemetry.metrics import Metrics
from router.telemetry.redaction import clean

__all__ = ["Metrics", "clean", "configure_logging", "doubted", "final", "needs_operator", "redact", "tell_folded"]
