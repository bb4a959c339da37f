"""`order-router schema`."""

import difflib
from pathlib import Path
from typing import Annotated

import typer

from router.cli.process import EXIT_FAILED


def schema(
    write: Annotated[bool, typer.Option("--write", help="Write the files of schemas/json.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Compare with those files; exit 1 if they differ.")] = False,
) -> None:
    """Print the JSON Schema of every message.

    With an option: keep the files that the package carries up to date.
    """
    import msgspec

    from schemas.json_schema import FOLDER, render

    schemas = generate()
    if write and check:
        raise typer.BadParameter("--write and --check exclude each other")
    if not write and not check:
        typer.echo(msgspec.json.format(msgspec.json.encode(schemas)).decode())
        return
    wanted = {f"{name}.json": render(document) for name, document in schemas.items()}
    present = {file.name: file.read_text() for file in sorted(FOLDER.glob("*.json"))}
    if write:
        _write(FOLDER, wanted, present)
        return
    for name in sorted(wanted.keys() | present.keys()):
        before, after = present.get(name, "").splitlines(True), wanted.get(name, "").splitlines(True)
        typer.echo("".join(difflib.unified_diff(before, after, f"schemas/json/{name}", "generated")), nl=False)
    if wanted != present:
        raise typer.Exit(EXIT_FAILED)


def generate() -> dict[str, dict[str, object]]:
    """Return every message's schema, each venue's own rules joined in."""
    from router import venues
    from schemas.conditions import VenueRules
    from schemas.json_schema import schemas

    kinds = {venue: venues.adapter_type(venue) for venue in venues.names()}
    return schemas(
        {venue: VenueRules(params=kind.params_types, conditions=kind.conditions) for venue, kind in kinds.items()}
    )


def _write(folder: Path, wanted: dict[str, str], present: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in wanted.items():
        if present.get(name) != text:
            (folder / name).write_text(text)
            typer.echo(f"wrote schemas/json/{name}")
    for name in present.keys() - wanted.keys():
        (folder / name).unlink()
        typer.echo(f"removed schemas/json/{name}")
