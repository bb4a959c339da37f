"""The golden cases of the venues: `tests/fixtures/<venue>/<case>/{command,request,response,outcome}.json`.

`command` is the wire command. `request` holds `client_order_id`, `stamp`, `secrets` (test values), where needed
`options`, and the request as it must leave. `response` is the venue's answer, `outcome` what it must mean. Any of the
last three names its `source`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct

from router.venue_protocol import Outcome, Request, Response, SignedRequest, Stamp, VenueAdapter
from router.venues import adapter_type
from schemas.codec import decode_command
from schemas.commands import Command

FIXTURES: Final = Path(__file__).parent.parent / "fixtures"
FILES: Final = ("command", "request", "response", "outcome")
OUTCOMES: Final[dict[str, type[Outcome]]] = {kind.__name__: kind for kind in get_args(Outcome)}


class Golden(Struct, frozen=True, kw_only=True):
    """One case of one venue."""

    venue: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.venue}-{self.folder.name}"

    def read(self, name: str) -> dict[str, Any]:
        """Read one of the four files."""
        found: dict[str, Any] = json.loads(self._path(name).read_bytes())
        return found

    def sources(self) -> list[str]:
        """Return where the case comes from."""
        return [source for name in FILES[1:] if (source := self.read(name).get("source"))]

    def bless(self, name: str, found: dict[str, Any]) -> None:
        """Write what was found over what stands there; keys that were not found anew stay."""
        kept = {key: value for key, value in self.read(name).items() if key == "source" or name == "request"}
        self._path(name).write_text(json.dumps(kept | found, indent=2, ensure_ascii=False) + "\n")

    def adapter(self) -> VenueAdapter:
        """Build the venue as the case configures it."""
        return new_adapter(self.venue, self.read("request").get("options", {}))

    def command(self) -> Command:
        """Decode the command as it comes over the wire."""
        return decode_command(self._path("command").read_bytes(), None)

    def built(self, adapter: VenueAdapter) -> Request:
        """Build the request that acts; a golden case is never one that is refused before it is sent."""
        request = adapter.request(self.command(), self.read("request")["client_order_id"])
        assert isinstance(request, Request), request
        return request

    def signed(self, adapter: VenueAdapter) -> SignedRequest:
        """Build and sign the request."""
        known = self.read("request")
        sign = adapter.signer(msgspec.convert(known["secrets"], adapter.secrets_type))
        return sign(self.built(adapter), Stamp(**known["stamp"]))

    def response(self) -> Response:
        """Return the venue's answer."""
        known = self.read("response")
        return Response(known["status"], known["headers"], known["body"].encode())

    def outcome(self) -> Outcome:
        """Return what the answer must mean. A field that the outcome does not have is an error."""
        known = {key: value for key, value in self.read("outcome").items() if key != "source"}
        kind = OUTCOMES[known.pop("outcome")]
        assert not known.keys() - set(kind.__struct_fields__), f"{self}: unknown fields in outcome.json"
        return msgspec.convert(known, kind)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def goldens() -> Iterator[Golden]:
    """Return every case of every folder, in order."""
    for folder in sorted(FIXTURES.glob("*/*/")):
        yield Golden(venue=folder.parent.name, folder=folder)


def new_adapter(venue: str, options: dict[str, Any]) -> VenueAdapter:
    """Build a venue from options as they stand in a configuration."""
    found = adapter_type(venue)
    return found(msgspec.convert(options, found.options_type))


def request_fields(signed: SignedRequest) -> dict[str, Any]:
    """Return a signed request as request.json holds it."""
    return {
        "method": signed.method,
        "url": signed.url,
        "headers": dict(signed.headers),
        "body": signed.body.decode(),
    }


def outcome_fields(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as outcome.json holds it."""
    fields: dict[str, Any] = msgspec.to_builtins(outcome)
    return {"outcome": type(outcome).__name__, **fields}
