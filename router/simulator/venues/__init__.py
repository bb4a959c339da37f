"""The simulated venues, one file or folder each. What is placed here is a venue; nothing else names it."""

import importlib
import pkgutil
from functools import cache

from router.simulator.venue import VenueSimulator


@cache
def names() -> tuple[str, ...]:
    """Return every venue that has a simulator here, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


@cache
def simulator_type(venue: str) -> type[VenueSimulator]:
    """Import a venue's file and return its class. Raises `KeyError` when there is no such file."""
    if venue not in names():
        raise KeyError(venue)
    module = importlib.import_module(f"{__name__}.{venue}")
    found: type[VenueSimulator] = module.SIMULATOR
    return found
