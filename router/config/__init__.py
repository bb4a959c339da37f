"""The configuration: one TOML file, every key overridable by environment (contract, section 5).

`load` gives a `Config` that is right in every respect that can be checked without a network, or raises a
`ConfigError` that lists every fault at once, each with its key and place. No message ever holds a secret.
"""

from router.config.loading import load
from router.config.settings import (
    BrokerSettings,
    Config,
    HttpSettings,
    JournalSettings,
    Lane,
    SenderPolicy,
    WorkerSettings,
    masked,
    parse_rate,
)

__all__ = [
    "BrokerSettings",
    "Config",
    "HttpSettings",
    "JournalSettings",
    "Lane",
    "SenderPolicy",
    "WorkerSettings",
    "load",
    "masked",
    "parse_rate",
]
