"""`lake audit`: shows that nothing on the topics is lost or doubled, and that averages are what their events make."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.audit import contract
from lakehouse.audit.results import off
from lakehouse.cli.terminal import console, grid, print_json
from lakehouse.contract import discovery
from lakehouse.errors import LakeError
from lakehouse.settings import settings

if TYPE_CHECKING:
    from rich.table import Table as Grid

Result = Mapping[str, Any]


def audit(
    domain: Annotated[str | None, typer.Argument(help="Only this domain; when none, all that this lake uses.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Hold history, dead letters and averages against the topic, beside the running streams. Exit code 1 when off."""
    names = [domain] if domain else [name for name in contract.audited() if name in discovery.used()]
    for name in names:
        contract.audit(name)
    from lakehouse.audit import run as auditing

    results = [auditing.audit(name, settings().brokers()) for name in names]
    if as_json:
        print_json(results)
    for result in [] if as_json else results:
        _show(result)
    if wrong := [finding for result in results if not result["clean"] for finding in off(result)]:
        raise LakeError(f"The audit found something off. {wrong[0]}", "The whole of it: `lake audit`." * as_json)


def _show(result: Result) -> None:
    pace = result["records"] / max(result["seconds"], 0.001)
    summary = f"{result['records']:,} records in {result['seconds']:.1f} s, {pace:,.0f}/s"
    console().print(f"Audit of {result['domain']}, {result['at'][:19].replace('T', ' ')} UTC: {summary}")
    console().print("")
    console().print(_partitions(result))
    console().print("")
    console().print(_views(result))
    for lines in (_notes(result), off(result)):
        console().print("")
        for line in lines:
            console().print(line)


def _partitions(result: Result) -> "Grid":
    heads = ("topic", "partition", "offsets", "records", "= history", "+ dead letters", "not yet read", "result")
    return grid(*heads, rows=[_row(result["topic"], part) for part in result["partitions"]])


def _row(topic: str, part: Result) -> list[str]:
    numbers = [f"{part[name]:,}" for name in ("records", "history", "dead_letters", "waiting")]
    return [topic, str(part["partition"]), f"{part['from']:,} to {part['to']:,}", *numbers, word(part)]


def _views(result: Result) -> "Grid":
    heads = ("table", "rows", "recomputed from", "late", "not yet read", "result")
    rows = []
    for view in result["views"]:
        version = view.get("history_version")
        source = f"history version {version}" if version is not None else "the topic" if "late" in view else "-"
        late, waiting = (f"{view[name]:,}" if name in view else "-" for name in ("late", "waiting"))
        rows.append((view["table"], f"{view['rows']:,}", source, late, waiting, word(view)))
    return grid(*heads, rows=rows)


def word(part: Result) -> str:
    """clean, off, or why there is nothing to say."""
    return "OFF" if part["findings"] else part.get("note") or "clean"


def _notes(result: Result) -> Iterator[str]:
    """What the result rests on besides this look."""
    for part in result["partitions"]:
        where = f"{result['topic']} {part['partition']}"
        for one in part["rests_on"]:
            found = "" if one["clean"] else ", which was not clean"
            at = one["at"][:19].replace("T", " ")
            gone = f"{where}: offsets {_span(one['from'], one['to'])} are gone by retention"
            yield f"{gone}; they rest on the audit of {at} UTC{found}."
        for start, end in part["not_covered"]:
            yield f"{where}: offsets {_span(start, end)} are gone by retention, and no audit covers them."
        if part["without_record"]:
            yield f"{where}: {part['without_record']:,} offsets hold no record (aborted, or a transaction's own marks)."


def _span(start: int, end: int) -> str:
    return f"{start:,} to {end - 1:,}"
