"""How a trained model becomes a version: judged, written aside, kept, and live when the gate lets it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lakehouse.models import gate
from lakehouse.models.gate import LiveMetrics, Metrics
from lakehouse.models.manifests import Headline, Manifest, Outcome
from lakehouse.models.registry import Registry


@dataclass(frozen=True)
class Candidate:
    """A new fit: its metrics, and those of the live version on the same rows; `began` is when its training did.

    - `write` writes into a folder what each version has, among it what a later fit is judged against
    - `release` adds what answers questions, fitted on all rows, and proves that its forms agree; it raises DataError
      when they do not, and then there is no version. It is not called for a version that is refused.
    - `record` is called with a version that is about to go live, for example to write its predictions down
    """

    metrics: Metrics
    live: LiveMetrics | None
    write: Callable[[Path], None]
    release: Callable[[Path], None]
    record: Callable[[str], None]
    began: float


def publish(registry: Registry, candidate: Candidate, manifest: Manifest) -> str:
    """Keep the fit as the next version, and let it go live unless the gate refuses it; the version.

    `manifest` says what it was trained on; outcome, reason, metrics and seconds are filled in here. Raises RefusedError
    when another version than the one it was judged against is live by then; the new one is kept.
    """
    model = registry.model
    verdict = gate.judge(model, candidate.metrics, candidate.live)
    judged = replace(
        manifest,
        outcome=Outcome.PUBLISHED if verdict.goes_live else Outcome.REFUSED,
        reason=verdict.reason,
        metrics={**candidate.metrics},
        headline=Headline(model.headline, model.better),
        forms=model.forms,
    )
    with registry.aside() as folder:
        candidate.write(folder)
        if verdict.goes_live:
            candidate.release(folder)
        seconds = round(time.monotonic() - candidate.began, 1)
        version = registry.keep(folder, replace(judged, seconds=seconds))
    if verdict.goes_live:
        candidate.record(version)
        judged_against = candidate.live.version if candidate.live else None
        registry.switch(version, verdict.reason, expected=judged_against)
    return version
