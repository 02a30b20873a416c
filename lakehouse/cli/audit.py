"""`lake audit`: proves that no record of the topics is lost or doubled and that averages match their events."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.audit import contract
from lakehouse.audit.results import AuditResult, PartitionResult, ViewResult, summary
from lakehouse.cli.options import AsJson
from lakehouse.cli.terminal import console, grid, print_json
from lakehouse.contract import discovery
from lakehouse.errors import LakeError
from lakehouse.settings import settings

if TYPE_CHECKING:
    from rich.table import Table as Grid


def audit(
    domain: Annotated[str | None, typer.Argument(help="Only this domain; default: all that this lake uses.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare history, dead letters and averages with the topic, while streams run. Exits 1 on a mismatch."""
    names = [domain] if domain else [name for name in contract.audited() if name in discovery.used()]
    for name in names:
        contract.audit(name)
    from lakehouse.audit import run

    results = [run.audit(name, settings().brokers()) for name in names]
    if as_json:
        print_json([result.to_dict() for result in results])
    for result in [] if as_json else results:
        _show(result)
    if wrong := [finding for result in results if not result.clean for finding in summary(result)]:
        raise LakeError(f"The audit found a mismatch. {wrong[0]}", "All of them: `lake audit`." * as_json)


def _show(result: AuditResult) -> None:
    pace = result.records / max(result.seconds, 0.001)
    totals = f"{result.records:,} records in {result.seconds:.1f} s, {pace:,.0f}/s"
    console().print(f"Audit of {result.domain}, {result.at[:19].replace('T', ' ')} UTC: {totals}")
    console().print("")
    console().print(_partitions(result))
    console().print("")
    console().print(_views(result))
    for lines in (_notes(result), summary(result)):
        console().print("")
        for line in lines:
            console().print(line)


def _partitions(result: AuditResult) -> "Grid":
    heads = ("topic", "partition", "offsets", "records", "= history", "+ dead letters", "not yet read", "result")
    return grid(*heads, rows=[_row(part) for part in result.partitions])


def _row(part: PartitionResult) -> list[str]:
    numbers = [f"{getattr(part, name):,}" for name in ("records", "history", "dead_letters", "waiting")]
    return [part.topic, str(part.partition), f"{part.start:,} to {part.end:,}", *numbers, word(part)]


def _views(result: AuditResult) -> "Grid":
    heads = ("table", "rows", "recomputed from", "late", "not yet read", "result")
    rows = []
    for view in result.views:
        version = view.history_version
        source = f"history version {version}" if version is not None else "-" if view.late is None else "the topic"
        late, waiting = ("-" if number is None else f"{number:,}" for number in (view.late, view.waiting))
        rows.append((view.table, f"{view.rows:,}", source, late, waiting, word(view)))
    return grid(*heads, rows=rows)


def word(part: PartitionResult | ViewResult) -> str:
    """clean, OFF, or why there is no result."""
    return "OFF" if part.findings else getattr(part, "note", "") or "clean"


def _notes(result: AuditResult) -> Iterator[str]:
    """What the result rests on besides this audit."""
    for part in result.partitions:
        where = f"{part.topic} {part.partition}"
        for one in part.rests_on:
            found = "" if one.clean else ", which was not clean"
            at = one.at[:19].replace("T", " ")
            gone = f"{where}: offsets {_span(one.start, one.end)} were deleted by retention"
            yield f"{gone}; they rest on the audit of {at} UTC{found}."
        for start, end in part.not_covered:
            yield f"{where}: offsets {_span(start, end)} were deleted by retention, and no audit covers them."
        yield from _former(where, part, result.domain)
        if part.without_record:
            yield f"{where}: {part.without_record:,} offsets have no record (aborted, or transaction markers)."


def _former(where: str, part: PartitionResult, domain: str) -> Iterator[str]:
    """What an earlier version has read by other rules; its rows stay as they are."""
    by = "of an earlier version, which read events by other rules"
    if part.now_events:
        again = f"send them again with `lake dead-letters redrive {domain}`"
        yield f"{where}: {part.now_events:,} dead letters {by}, would be events now: {again}."
    if part.no_longer_events:
        yield f"{where}: {part.no_longer_events:,} rows in history {by}, would be dead letters now."
    if part.other_ids:
        yield f"{where}: {part.other_ids:,} ids in history {by}, have a fraction of zeros (71.0), and would be 71 now."


def _span(start: int, end: int) -> str:
    return f"{start:,} to {end - 1:,}"
