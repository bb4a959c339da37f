"""`order-router schema`."""

import difflib
from pathlib import Path
from typing import Annotated, Any

import typer

from router.cli.process import EXIT_FAILED


def schema(
    asyncapi: Annotated[bool, typer.Option("--asyncapi", help="Print the AsyncAPI 3 document instead.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Write schemas/json and schemas/asyncapi.json.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare with those files; exit 1 if they differ.")] = False,
) -> None:
    """Print the JSON Schemas, or the AsyncAPI document.

    With --write or --check: keep the files that the package carries up to date.
    """
    import msgspec

    if asyncapi + write + check > 1:
        raise typer.BadParameter("--asyncapi, --write and --check exclude each other")
    if write or check:
        _keep(write=write)
        return
    typer.echo(msgspec.json.format(msgspec.json.encode(described() if asyncapi else generate())).decode())


def generate() -> dict[str, dict[str, Any]]:
    """Return every message's schema, each venue's own rules joined in."""
    from router import venues
    from schemas.conditions import VenueRules
    from schemas.json_schema import schemas

    kinds = {venue: venues.adapter_type(venue) for venue in venues.names()}
    return schemas(
        {venue: VenueRules(params=kind.params_types, conditions=kind.conditions) for venue, kind in kinds.items()}
    )


def described() -> dict[str, Any]:
    """Return the AsyncAPI document, of every venue's lanes under the names that hold unless told otherwise."""
    from router import venues
    from router.broker.asyncapi import document
    from router.broker.topology import Names
    from router.config.settings import LANES, BrokerSettings
    from router.telemetry.series import program

    version, _ = program()
    lanes = [(venue, lane) for venue in venues.names() for lane in LANES]
    return document(Names(BrokerSettings().prefix), lanes, generate(), version)


def files() -> dict[Path, str]:
    """Return the files that the package carries, and what is to stand in them."""
    from router.broker.asyncapi import FILE
    from schemas.json_schema import FOLDER, render

    return {FILE: render(described())} | {
        FOLDER / f"{name}.json": render(document) for name, document in generate().items()
    }


def _keep(*, write: bool) -> None:
    """Write the files, or show where they differ and exit 1 if they do."""
    from schemas.json_schema import FOLDER

    wanted = files()
    present = {file: file.read_text() for file in {*wanted, *FOLDER.glob("*.json")} if file.exists()}
    for file in sorted(wanted.keys() | present.keys()):
        name = file.relative_to(FOLDER.parent.parent)
        before, after = present.get(file), wanted.get(file)
        if before == after:
            continue
        if not write:
            lines = ((before or "").splitlines(True), (after or "").splitlines(True))
            typer.echo("".join(difflib.unified_diff(*lines, str(name), "generated")), nl=False)
        elif after is None:
            file.unlink()
            typer.echo(f"removed {name}")
        else:
            file.parent.mkdir(exist_ok=True)
            file.write_text(after)
            typer.echo(f"wrote {name}")
    if not write and wanted != present:
        raise typer.Exit(EXIT_FAILED)
