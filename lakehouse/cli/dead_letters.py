"""`lake dead-letters`: invalid events, the reasons, and sending them to their topic again."""

import base64
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.options import AsJson
from lakehouse.cli.terminal import console, escaped, grid, hex_dump, print_json
from lakehouse.contract.discovery import load, load_all
from lakehouse.errors import DataError, LakeError, RefusedError, UsageError
from lakehouse.settings import settings

if TYPE_CHECKING:
    from lakehouse.dead_letters.redrive import Patch, RedrivePlan
    from lakehouse.dead_letters.store import Letter, Place
    from lakehouse.tables.table_io import Table

app = typer.Typer(no_args_is_help=True, help="Invalid events, with their bytes and the reason.")
BAR = 24  # characters of the longest bar
Places = Annotated[list[str] | None, typer.Argument(help="Places: <topic>/<partition>/<offset>.")]
Reason = Annotated[str, typer.Option(help="Those whose reason contains this text.")]
Domain = Annotated[str | None, typer.Option(help="Only this domain's; default: all.")]


@app.command("list")
def list_dead_letters(
    domain: Annotated[str | None, typer.Argument(help="A domain; default: all.")] = None,
    limit: Annotated[int, typer.Option(help="How many of the newest to show.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the number of dead letters by reason, and the newest of them."""
    from lakehouse.dead_letters.store import newest, reasons

    tables = [each.dead_letters for each in load_all([domain] if domain else [])]
    counts = {table.domain: reasons(table) for table in tables}
    letters = [letter for table in tables for letter in newest(table, limit)]
    if as_json:
        print_json({"reasons": counts, "newest": letters})
        return
    if not any(counts.values()):
        console().print("No dead letters.")
        return
    most = max(count for by_reason in counts.values() for count in by_reason.values())
    rows = [
        (name, reason, f"{count:,}", "█" * max(1, round(BAR * count / most)))
        for name, by_reason in counts.items()
        for reason, count in by_reason.items()
    ]
    console().print(grid("domain", "reason", "count", "", rows=rows), "")
    shown = [
        (
            f"{letter['recorded_at']:%Y-%m-%d %H:%M:%S}",
            f"{letter['topic']}/{letter['partition']}/{letter['offset']}",
            letter["reason"],
            "null" if letter["value_start"] is None else escaped(letter["value_start"]).replace("\n", "\\n"),
        )
        for letter in letters
    ]
    console().print(grid("recorded (UTC)", "place", "reason", "value starts", rows=shown))


@app.command()
def show(
    places: Places = None,
    reason: Reason = "",
    limit: Annotated[int, typer.Option(help="How many of the newest to show.")] = 5,
    domain: Domain = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON each, as --patch-file reads it.")] = False,
) -> None:
    """Show whole dead letters: the text of the value, or its bytes when it is not text."""
    from lakehouse.dead_letters.store import letters

    for table, wanted in _wanted(places or [], reason, domain, limit):
        for where in wanted:
            for letter in letters(table, [where]):
                if as_json:
                    sys.stdout.write(json.dumps(letter.as_dict(), default=str) + "\n")
                else:
                    _show(letter)


def _show(letter: "Letter") -> None:
    size = "null" if letter.value is None else f"{len(letter.value):,} bytes"
    key = "null" if letter.key is None else escaped(letter.key.decode("utf-8", "backslashreplace"))
    console().print(f"{letter.place}  {letter.reason}")
    console().print(f"recorded {letter.recorded_at:%Y-%m-%d %H:%M:%S.%f} UTC, key {key}, value {size}")
    try:
        lines = escaped((letter.value or b"").decode()).split("\n") if letter.value else []
    except UnicodeDecodeError:
        lines = hex_dump(letter.value or b"")
    console().print("".join(f"  {line}\n" for line in lines))


def _wanted(places: list[str], reason: str, domain: str | None, limit: int | None) -> "list[tuple[Table, list[Place]]]":
    """Dead-letter tables with the places to read. Raises UsageError when a place has no dead letter."""
    from lakehouse.dead_letters import store

    domains = load_all([domain] if domain else [])
    if not places:
        return [(each.dead_letters, store.places(each.dead_letters, reason, limit)) for each in domains]
    named = [store.parse_place(text) for text in places]
    wanted_of = [(each.dead_letters, [where for where in named if _is_of(each.name, where)]) for each in domains]
    known = {letter.place for table, wanted in wanted_of for letter in store.letters(table, wanted)}
    if missing := [where for where in named if where not in known]:
        raise UsageError(f"There is no dead letter at {missing[0]}.", "`lake dead-letters list` shows places.")
    return wanted_of


def _is_of(domain: str, where: "Place") -> bool:
    return where.topic in {topic.name for topic in load(domain).topics}


@app.command()
def redrive(
    places: Places = None,
    reason: Reason = "",
    patch: Annotated[
        list[str] | None, typer.Option("--patch", help="Set a field of the event: field=value; may be repeated.")
    ] = None,
    patch_file: Annotated[
        Path | None,
        typer.Option(help="New values, lines of JSON as `show --json` prints them; only these are sent."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Include those that were sent again before.")] = False,
    send: Annotated[bool, typer.Option("--yes/--dry-run", help="Send them, or only show what would be sent.")] = False,
    domain: Domain = None,
) -> None:
    """Send dead letters to their topic again, unchanged or patched. Shows what it would send; --yes sends it."""
    if sum(map(bool, (places, reason, patch_file))) != 1:
        raise UsageError("Which dead letters? Give places, --reason or --patch-file.", "Exactly one of the three.")
    from lakehouse.core import locks
    from lakehouse.dead_letters import redrive
    from lakehouse.kafka import topics

    change: Patch | None = redrive.with_fields(dict(map(_field_change, patch))) if patch else None
    if patch_file:
        values = _new_values(patch_file)
        places, change = list(values), redrive.with_values({_place(text): value for text, value in values.items()})
    bootstrap_servers = settings().brokers()
    topics.check(bootstrap_servers)
    for table, wanted in _wanted(places or [], reason, domain, None):
        with locks.exclusive(settings().run / f"{table.domain}.redrive.lock", "A redrive of dead letters"):
            planned = redrive.plan_redrive(bootstrap_servers, table, wanted, again, patched=change is not None)
            _show_plan(table, planned, change)
            if places and planned.left_out:
                raise RefusedError(
                    "Nothing was sent: some of these cannot be sent.",
                    "Give --again to send those that were sent before.",
                )
            if send and planned.ready:
                done = redrive.send(bootstrap_servers, table, planned, change)
                console().print(f"Sent {len(done):,}. `lake dead-letters list` shows those that are still invalid.")
            elif planned.ready:
                console().print("Nothing was sent; --yes sends them.")


def _show_plan(table: "Table", planned: "RedrivePlan", patch: "Patch | None") -> None:
    from lakehouse.dead_letters.redrive import keeps_time
    from lakehouse.dead_letters.store import in_chunks

    how, rows = "unchanged" if patch is None else "patched", []
    for letter in (letter for chunk in in_chunks(table, planned.ready, 20) for letter in chunk):
        value = patch(letter) if patch else letter.value
        start = "null" if value is None else escaped(value[:60].decode("utf-8", "backslashreplace"))
        time = "its own" if keeps_time(letter) else "now"
        rows.append((letter.place, letter.reason, how, time, f"{len(value or b''):,}", start.replace("\n", "\\n")))
    if rows:
        console().print(grid("place", "reason", "sent", "time", "bytes", "value starts", rows=rows), "")
    for where, why in planned.left_out.items():
        console().print(f"{where} {why}.")
    kept_back = f"; {len(planned.left_out):,} left out" if planned.left_out else ""
    console().print(f"{table.domain}: {len(planned.ready):,} to send{kept_back}.")


def _field_change(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"--patch takes field=value; got {text!r}.", "For example --patch price=221900.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _place(text: str) -> "Place":
    from lakehouse.dead_letters.store import parse_place

    return parse_place(text)


def _bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, str):
        return None if value is None else value.encode()
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _new_values(file: Path) -> dict[str, bytes | None]:
    """Values by place, from lines such as {"at": "houses/0/12", "value": …}: an object, a text, or `value_base64`."""
    values: dict[str, bytes | None] = {}
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}.") from None
    for number, line in enumerate(lines, start=1):
        try:
            given = json.loads(line)
            coded = given.get("value_base64")
            value = base64.b64decode(coded, validate=True) if coded else _bytes(given["value"])
            values[str(_place(given["at"]))] = value
        except (ValueError, KeyError, TypeError, AttributeError, LakeError):
            raise DataError(
                f"Line {number} of {file} is not a new value.",
                'A line is {"at": "houses/0/12", "value": {…}}; `lake dead-letters show --json` prints such lines.',
            ) from None
    if not values:
        raise DataError(f"{file} has no new values.", "Give one line of JSON for each.")
    return values
