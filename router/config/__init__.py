"""The configuration: one TOML file, every key overridable by environment (contract, section 5).

`load` gives a `Config` that is right in every respect that can be checked without a network, or raises a
`ConfigError` that lists every fault at once, each with its key and place. No message ever holds a secret.
"""

from router.config.loading import load
from router.config.settings import Broker, Config, Http, Journal, Lane, Sender, Worker, masked, parse_rate

__all__ = ["Broker", "Config", "Http", "Journal", "Lane", "Sender", "Worker", "load", "masked", "parse_rate"]
