"""The venues, one package each. A folder placed here is a venue; nothing else names it (README.md)."""

import importlib
import pkgutil
from functools import cache

from router.venue_protocol import VenueAdapter


@cache
def names() -> tuple[str, ...]:
    """Return every venue that has a package here, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg))


@cache
def adapter_type(venue: str) -> type[VenueAdapter]:
    """Import a venue's package and return its class. Raises `KeyError` when there is no such package."""
    if venue not in names():
        raise KeyError(venue)
    module = importlib.import_module(f"{__name__}.{venue}")
    found: type[VenueAdapter] = module.ADAPTER
    return found
