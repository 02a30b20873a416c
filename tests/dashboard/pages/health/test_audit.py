"""The last audit on the Health page, from a stored result."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dashboard.live.health import HealthWatch
from dashboard.pages.health import audit
from jobs.houses import schema
from lakehouse.audit import results
from lakehouse.audit.results import AuditResult
from lakehouse.core import records
from tests.dashboard.pages.health.test_queries import fields, words


def result(at: datetime, clean: bool) -> AuditResult:
    finding = {"what": "lost", "count": 22, "places": list(range(7, 27)), "detail": ""}
    part = {"topic": "houses", "partition": 3, "records": 100, "history": 70, "dead_letters": 8, "waiting": 0}
    part |= {"findings": [] if clean else [finding]}
    result = {"domain": "houses", "at": at.isoformat(), "clean": clean, "seconds": 1.5, "topic": "houses"}
    return records.from_dict(AuditResult, result | {"partitions": [part], "views": []})


@pytest.fixture
def watch(lake: Path) -> HealthWatch:
    return HealthWatch([schema.DOMAIN])


def test_a_lake_never_audited_says_how(watch: HealthWatch) -> None:
    state = audit.audit_state(watch.look())
    assert (state.state, "lake audit" in words(state.notice)) == ("empty", True)


def test_the_newest_audit_is_shown_with_what_is_off(watch: HealthWatch) -> None:
    now = datetime.now(UTC)
    results.store("houses", now - timedelta(hours=1), result(now - timedelta(hours=1), True))
    view = watch.look()
    assert fields(audit.audit_table(view), "audit=houses")["result"] == "clean"
    assert audit.audit_state(view).state == "ready"
    results.store("houses", now, result(now, False))
    view = watch.look()
    row = fields(audit.audit_table(view), "audit=houses")
    assert (row["result"], row["records"], row["dead_letters"]) == ("off", "100", "8")
    assert "22 lost: houses 3, offsets 7, 8" in words(audit.audit_table(view))
    assert "and 2 more" in words(audit.audit_table(view))


def test_an_audit_of_the_night_before_last_is_stale(watch: HealthWatch) -> None:
    at = datetime.now(UTC) - timedelta(hours=27)
    results.store("houses", at, result(at, True))
    state = audit.audit_state(watch.look())
    assert (state.state, "27 hours old" in str(state.notice)) == ("stale", True)
