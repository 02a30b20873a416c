"""How long house sales take from the broker to the live list in a browser, and what the dashboard takes meanwhile."""

import os
import signal
import sys
import time
from contextlib import nullcontext
from typing import Any

import psutil
from playwright.sync_api import Page, sync_playwright

from tests.bench import measure
from tests.browser import launch
from tests.dashboard.served import App
from tests.ending import end_in_order

# What assets/core/feed.js measures, without its limit of 500 events: the first news of a page are not counted.
_KEEP = """(() => {
  window.benchDelays = [];
  const timer = setInterval(() => {
    const lake = (window.dash_clientside || {}).lake;
    if (!lake || !lake.feedDelay) return;
    clearInterval(timer);
    const own = lake.feedDelay;
    let first = true;
    lake.feedDelay = (recorded, id) => {
      if (recorded && recorded.length && !first) {
        setTimeout(() => requestAnimationFrame(() => {
          const at = window.lake.now();
          recorded.forEach((moment) => window.benchDelays.push(at - moment));
        }), 50);
      }
      if (recorded && recorded.length) first = false;
      return own(recorded, id);
    };
  }, 5);
})()"""
_TAKEN = "window.benchDelays.splice(0)"


def measured(rate: int, seconds: float, warm: float, with_stream: bool, looked_at: bool) -> dict[str, Any]:
    """Seconds from the broker to the screen of each sale listed, and cores and memory of the dashboard over time."""
    with measure.site() as place, measure.streaming(place) if with_stream else nullcontext():
        app = App(place.var, LAKE_BOOTSTRAP_SERVERS=place.bootstrap_servers)
        sender = place.start("produce.py", "--rate", str(rate))
        try:
            with sync_playwright() as playwright:
                page = launch(playwright).new_page(viewport={"width": 1440, "height": 900})
                page.add_init_script(_KEEP)
                page.goto(app.url + ("/houses" if looked_at else "/models?domain=houses"))
                return _watched(page, psutil.Process(app.process.pid), seconds, warm)
        finally:
            sender.send_signal(signal.SIGTERM)
            sender.wait(30)
            app.kill()


def _watched(page: Page, process: psutil.Process, seconds: float, warm: float) -> dict[str, Any]:
    page.wait_for_timeout(warm * 1000)
    page.evaluate(_TAKEN)
    found: dict[str, Any] = {"seconds": [], "cores": [], "pss_mb": []}
    until, at, used = time.monotonic() + seconds, time.monotonic(), process.cpu_times()
    while time.monotonic() < until:
        page.wait_for_timeout(min(15.0, seconds) * 1000)
        now, busy = time.monotonic(), process.cpu_times()
        found["cores"].append((busy.user + busy.system - used.user - used.system) / (now - at))
        found["pss_mb"].append(process.memory_full_info().pss / 1e6)
        found["seconds"] += [millis / 1000 for millis in page.evaluate(_TAKEN)]
        at, used = now, busy
    return found


def main() -> None:
    """`python -m tests.bench.screen <sales a second> [seconds] [warm] [nostream] [away]` prints the figures."""
    rate, seconds, warm = (int(value) for value in [*sys.argv[1:4], "60", "60"][:3])
    found = measured(rate, seconds, warm, "nostream" not in sys.argv, "away" not in sys.argv)
    delays = sorted(found["seconds"]) or [0.0]
    p50, p95 = delays[len(delays) // 2], delays[int(0.95 * len(delays))]
    print(f"{rate}/s: n={len(found['seconds'])} median {p50:.2f} s p95 {p95:.2f} s; load {os.getloadavg()[0]:.1f}")  # noqa: T201
    print("cores", [round(value, 3) for value in found["cores"]], "PSS", [round(value) for value in found["pss_mb"]])  # noqa: T201


if __name__ == "__main__":
    end_in_order()
    main()
