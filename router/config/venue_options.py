"""What `[venues.<venue>]` may not hold, beyond what its types say."""

from collections.abc import Iterable, Iterator

import msgspec

from router.config.settings import parse_rate
from router.config.source import nearest
from router.venue_protocol import Limit, Options


def option_faults(options: Options, published: Iterable[Limit]) -> Iterator[tuple[str, str]]:
    """Yield key and fault of every option that cannot be, but for its URLs."""
    for name, value in msgspec.structs.asdict(options).items():
        if not name.endswith("_s") or not isinstance(value, int | float):
            continue
        if name == "timeout_s" and value <= 0:
            yield name, "must be above 0"
        elif value < 0:
            yield name, "must not be below 0"
    floor_s = round(options.timeout_s + options.timestamp_window_s, 6)
    if options.quarantine_s is not None and 0 <= options.quarantine_s < floor_s:
        # A request may be on its way for the one, and be taken for the other: until then its absence proves nothing.
        yield (
            "quarantine_s",
            f"is {options.quarantine_s:g}; it must be at least {floor_s:g}, "
            f"which is timeout_s ({options.timeout_s:g}) + timestamp_window_s ({options.timestamp_window_s:g})",
        )
    scopes = {limit.scope for limit in published}
    for scope, rate in options.limits.items() if isinstance(options.limits, dict) else ():
        if scope not in scopes:
            yield "limits", f'unknown scope "{scope}"{nearest(scope, scopes)}'
        try:
            parse_rate(rate)
        except ValueError as error:
            yield "limits", f"{scope}: {error}"
