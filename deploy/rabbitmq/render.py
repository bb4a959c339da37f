"""`python -m deploy.rabbitmq.render`: write definitions.json from senders.example.toml; `--check`: fail if it differs.

`--config FILE --output FILE`: the same for a router's own configuration, of which only `[senders]` and `broker.prefix`
are read.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from deploy.rabbitmq.definitions import definitions, read_config

HERE: Final = Path(__file__).parent


def render(config: Path) -> str:
    """Return the definitions for the senders of a configuration as JSON. Raises `OSError`, `ValueError`."""
    prefix, senders = read_config(config)
    return json.dumps(definitions(prefix, senders), indent=2) + "\n"


def main() -> None:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--config", type=Path, default=HERE / "senders.example.toml")
    parser.add_argument("--output", type=Path, default=HERE / "definitions.json")
    given = parser.parse_args()
    try:
        text = render(given.config)
    except (OSError, ValueError) as error:
        sys.exit(f"{given.config}: {error}")
    if not given.check:
        given.output.write_text(text)
    elif given.output.read_text() != text:
        sys.exit(f"{given.output}: not what {given.config} says; run `make definitions`")


if __name__ == "__main__":
    main()
