"""`make bench`: how fast and how large the platform is, measured on this machine, one table. `--full` takes longer."""

import argparse
import os
import shutil
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tests import suite
from tests.bench import ask, dashboard, drain, kept, measure, model, pricing, scale, screen
from tests.dashboard.tab import Tick
from tests.ending import end_in_order
from tests.suite import Suite

console = Console(highlight=False, soft_wrap=True)


def quantile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def spread(values: list[float], unit: str) -> str:
    """Median with the smallest and largest value."""
    return f"{statistics.median(values):.2f} {unit} ({min(values):.2f} to {max(values):.2f}, n={len(values)})"


def main() -> None:
    """Measure, print a table, keep the figures as JSON under var/bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="longer runs, more repeats")
    parser.add_argument("--model", action="store_true", help="only how good the price model is")
    parser.add_argument("--drain", action="store_true", help="only how fast a topic is drained, against plain ways")
    parser.add_argument(
        "--scale", nargs="*", choices=[curve.name for curve in scale.CURVES], help="only how cost grows"
    )
    parser.add_argument("--dashboard", action="store_true", help="only the dashboard under 20 tabs")
    parser.add_argument("--domain", choices=suite.names(), help="only a domain's views and its rate, as for any domain")
    parser.add_argument("--line", action="store_const", dest="domain", const="production", help="--domain production")
    parser.add_argument("--ask", action="store_true", help="only what a request waits for its answer")
    parser.add_argument("--interval", default="60 seconds", help="of the real-time query, with --ask")
    options = parser.parse_args()
    if options.ask:
        show_ask(seconds=180 if options.full else 60, interval=options.interval)
    elif options.domain:
        show_domain(options.domain, seconds=180 if options.full else 60)
    elif options.model:
        show_model()
    elif options.dashboard:
        show_dashboard(minutes=30 if options.full else 2)
    elif options.scale is not None:
        kept.keep(console, {"scale": scale.measured(console, kept.KEPT / "plots", options.scale)})
    elif options.drain:
        show_drain(options.full)
    else:
        show_all(options.full)


def show_all(full: bool) -> None:
    """What the table of the README has of the domain `houses`."""
    grid = Table("what", "target", "measured", box=None, pad_edge=False)
    figures: dict[str, Any] = {}

    starts = measure.starts(repeats=5 if full else 3)
    figures["start_seconds"] = starts
    grid.add_row("Spark process started to first batch committed", "≤ 8 s", spread(starts, "s"))

    figures["latency_seconds"] = latency_rows(grid, measure.HOUSES, seconds=180 if full else 60)

    figures["screen_seconds"] = screen_rows(grid, seconds=180 if full else 60)
    figures["sustained"] = sustained_rows(grid, full)

    figures["drain"] = drain_rows(grid, full)
    figures["pricing_seconds"] = pricing_rows(grid)

    memory = measure.memory(seconds=180 if full else 75)
    figures["memory_mb"] = memory
    parts = ", ".join(f"{name} {size:,}" for name, size in memory.items() if size)
    grid.add_row("`lake up houses`, PSS", "≤ 2,200 MB", f"{sum(memory.values()):,} MB ({parts})")

    console.print(grid)
    kept.keep(console, figures)


def latency_rows(grid: Table, of: Suite, seconds: float) -> dict[str, Any]:
    """Add how long an event takes until it is visible at 200 events/s to the table; the figures by view."""
    found = measure.latencies(of, seconds)
    figures = {}
    for view in of.views:
        what = f"event acknowledged to visible, 200/s: {view.name}"
        figures[view.name] = delay_row(grid, what, view.target, found[view.name])
    return figures


def delay_row(grid: Table, what: str, target: str, seconds: list[float]) -> dict[str, float]:
    """Add median and 95th percentile of delays to the table; the figures."""
    figures = {"p50": quantile(seconds, 0.5), "p95": quantile(seconds, 0.95), "events": len(seconds)}
    grid.add_row(what, target, f"p50 {figures['p50']:.2f} s, p95 {figures['p95']:.2f} s, n={len(seconds):,}")
    return figures


def screen_rows(grid: Table, seconds: float) -> dict[str, float]:
    """Add how long sales take to the live list in a browser, at 200/s beside the stream, to the table; the figures."""
    found = screen.measured(rate=200, seconds=seconds, warm=60, with_stream=True, looked_at=True)["seconds"]
    return delay_row(grid, "broker to screen, 200/s: the live list", "p50 ≤ 1.5 s, p95 ≤ 2.5 s", found)


def sustained_rows(grid: Table, full: bool) -> dict[str, Any]:
    """Add whether both queries keep up beside their producer to the table; the figures by rate."""
    figures = {}
    for rate in (20_000, 60_000):
        load = figures[str(rate)] = measure.sustained(rate, seconds=120 if full else 45)
        done = f"lag {load['lag_at_end']:,.0f}, done {load['drained_after']:.1f} s later"
        grid.add_row(f"both queries at {rate:,} sales/s", "keep up", f"sent {load['sent_per_second']:,.0f}/s, {done}")
    return figures


def show_ask(seconds: float, interval: str) -> None:
    """A request acknowledged to its answer on the topic, at 50/s; the machine's load before and after."""
    before, found = ask.load(), ask.waits(seconds, interval)
    grid = Table("what", "target", "measured", box=None, pad_edge=False)
    figures: dict[str, Any] = {"load": {"before": before, "after": ask.load()}, "interval": interval}
    for name, what, target in (
        ("answered", f"request acknowledged to answer on the topic, {ask.RATE}/s", "p95 ≤ 25 ms"),
        ("acknowledged", "request sent to acknowledged", "≤ 2 s"),
    ):
        figures[name] = {f"p{share * 100:.0f}": 1000 * quantile(found[name], share) for share in (0.5, 0.95, 0.99)}
        parts = ", ".join(f"{share} {millis:.1f} ms" for share, millis in figures[name].items())
        grid.add_row(what, target, f"{parts}, max {1000 * max(found[name]):.0f} ms, n={len(found[name]):,}")
    figures["switched_seconds"] = found["switched"][0]
    grid.add_row("another version live to its first answer", "≤ 10 s", f"{found['switched'][0]:.1f} s")
    grid.add_row("attempts refused after 2 s, then asked again", "-", f"{found['refused'][0]:.0f}")
    grid.add_row(f"load of {os.cpu_count()} cores", "-", f"{before:.1f} before, {figures['load']['after']:.1f} after")
    console.print(grid)
    kept.keep(console, {"ask": figures})


def show_domain(name: str, seconds: float) -> None:
    """A domain's events to its views at 200 events/s, and events a second through all its sinks."""
    of = suite.load(name)
    grid = Table("what", "target", "measured", box=None, pad_edge=False)
    waited, drained = latency_rows(grid, of, seconds), measure.drained(of, events=250_000)
    grid.add_row("draining, all queries, all sinks", "-", f"{drained['per_second']:,.0f} events/s")
    console.print(grid)
    kept.keep(console, {name: {"latency_seconds": waited, "drained": drained}})


def drain_rows(grid: Table, full: bool) -> dict[str, Any]:
    """Add how fast a topic is drained to the table; the figures."""
    found = drain.measured(2_000_000, repeats=3) if full else drain.measured(600_000, repeats=1)
    for row in drain.rows(found):
        grid.add_row(*row)
    return drain.figures(found)


def show_drain(full: bool) -> None:
    """How fast a topic is drained, and nothing else."""
    grid = Table("what", "target", "measured", box=None, pad_edge=False)
    figures = drain_rows(grid, full)
    console.print(grid)
    kept.keep(console, {"drain": figures})


def pricing_rows(grid: Table) -> dict[str, Any]:
    """Add what training and answering take to the table; the figures."""
    answered = pricing.timings()
    api = {share: quantile(answered["api"], share) for share in (0.5, 0.95)}
    grid.add_row("train.py, whole process", "≤ 40 s", spread(answered["train"], "s"))
    grid.add_row("train.py after Spark's start", "≤ 12 s", spread(answered["train_work"], "s"))
    grid.add_row("`lake price <id>`, whole process", "≤ 0.8 s", spread(answered["price"], "s"))
    measured = f"p50 {1000 * api[0.5]:.1f} ms, p95 {1000 * api[0.95]:.1f} ms, n={len(answered['api']):,}"
    grid.add_row("GET /api/houses/<id>/price, one client", "p95 ≤ 10 ms", measured)
    return {**answered, "api": api}


def show_model() -> None:
    """Metrics of the price model by seed, and their medians."""
    found = model.quality(seeds=5)
    grid = Table("seed", *found[0], box=None, pad_edge=False)
    for seed, row in enumerate(found, start=1):
        grid.add_row(str(seed), *(f"{value:,.4g}" for value in row.values()))
    grid.add_row("median", *(f"{value:,.4g}" for value in model.medians(found).values()), style="bold")
    console.print(grid)
    kept.keep(console, {"model": found})


def show_dashboard(minutes: float) -> None:
    """The dashboard's first paint by page, and its ticks under 20 tabs by page; `--full` takes half an hour."""
    painted = dashboard.first_paint()
    grid = Table("page", "painted ms", "all tiles ready ms", box=None, pad_edge=False)
    for page, millis in painted.items():
        grid.add_row(page, f"{millis['painted']:,.0f}", f"{millis['ready']:,.0f}")
    console.print(grid)
    found = dashboard.tabs(seconds=60 * minutes)
    grid = Table("tab", "ticks", "ms p50", "ms p95", "slowest answer p95", "bytes with news p50", "p95", "without p50")
    pages: dict[str, list[Tick]] = {}
    for page, tick in found["ticks"]:
        pages.setdefault(page, []).append(tick)
    rows = {page: tick_figures(ticks) for page, ticks in sorted(pages.items())}
    rows["all, target p95 ≤ 100 ms"] = tick_figures([tick for _, tick in found["ticks"]])
    for page, row in rows.items():
        grid.add_row(page, *(f"{value:,.0f}" for value in row.values()))
    console.print(grid)
    first, last = found["pss_mb"][0], found["pss_mb"][-1]
    console.print(f"PSS {first:,.0f} MB, {last:,.0f} MB {minutes:g} min later; {found['cores']:.2f} cores busy")
    kept.keep(
        console, {"first_paint_ms": painted, "ticks": rows, "pss_mb": found["pss_mb"], "cores_busy": found["cores"]}
    )


def tick_figures(ticks: Sequence[Tick]) -> dict[str, float]:
    """How long ticks took, and the bytes that came, in those with news and in those without."""
    millis, slowest = [1000 * tick.seconds for tick in ticks], [1000 * tick.slowest for tick in ticks]
    news = [float(tick.bytes) for tick in ticks if tick.news] or [0.0]
    none = [float(tick.bytes) for tick in ticks if not tick.news] or [0.0]
    return {
        "ticks": len(ticks),
        "p50": quantile(millis, 0.5),
        "p95": quantile(millis, 0.95),
        "slowest_p95": quantile(slowest, 0.95),
        "bytes_p50": quantile(news, 0.5),
        "bytes_p95": quantile(news, 0.95),
        "bytes_without_p50": quantile(none, 0.5),
    }


if __name__ == "__main__":
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        sys.exit("Error: Java is missing. Install Java 17 or 21.")
    end_in_order()
    main()
