"""Stored results of audits: as versions before wrote them, as this one does, and as a newer one might."""

import json
from datetime import UTC, datetime

import pytest

from lakehouse.audit import results
from lakehouse.audit.results import AuditedRange, AuditResult
from lakehouse.errors import RefusedError

pytestmark = pytest.mark.usefixtures("lake")
OLD = """{
 "domain": "houses", "at": "2026-11-20T01:30:00+00:00", "clean": false, "seconds": 2.25, "records": 30,
 "topic": "houses", "topic_id": "Zm9vYmFy",
 "partitions": [{"partition": 1, "from": 10, "to": 50, "read_to": 45, "records": 30, "history": 20, "dead_letters": 5,
   "waiting": 5, "without_record": 10,
   "rests_on": [{"from": 0, "to": 10, "at": "2026-11-19T01:30:00+00:00", "clean": true}], "not_covered": [[4, 7]],
   "covered": [{"from": 0, "to": 10, "at": "2026-11-19T01:30:00+00:00", "clean": true, "gaps": [[3, 4]]},
     {"from": 10, "to": 45, "at": "2026-11-20T01:30:00+00:00", "clean": false, "gaps": []}],
   "findings": [{"what": "twice", "count": 1, "places": [12], "detail": ""}]}],
 "views": [{"table": "averages", "rows": 7, "late": 2, "waiting": 0, "note": "",
     "findings": [{"what": "row missing", "count": 1, "places": ["2026-11-20 01:00:00 decade 1990"], "detail": "x"}]},
   {"table": "averages_batch", "rows": 7, "history_version": 4, "note": "", "findings": []},
   {"table": "totals", "rows": 0, "note": "not written yet", "findings": []}]
}"""


def keep(name: str, content: str) -> None:
    results.folder("houses").mkdir(parents=True, exist_ok=True)
    (results.folder("houses") / name).write_text(content)


def test_a_result_of_a_version_before_is_read_whole() -> None:
    keep("20261120T013000000000.json", OLD)
    last = results.last("houses")
    assert last is not None
    (part,) = last.partitions
    assert (part.topic, last.topic_ids) == ("houses", {"houses": "Zm9vYmFy"})
    counts = {"now_events": 0, "no_longer_events": 0, "other_ids": 0}
    partition = {**json.loads(OLD)["partitions"][0], "topic": "houses", **counts}
    added = {"topic_ids": last.topic_ids, "partitions": [partition]}
    assert last.to_dict() == json.loads(OLD) | added
    assert (part.start, part.covered[0]) == (10, AuditedRange(0, 10, "2026-11-19T01:30:00+00:00", True, [[3, 4]]))
    assert [line[:20] for line in results.summary(last)] == ["OFF: 1 twice: houses", "OFF: 1 row missing: "]
    path = results.store("houses", datetime.now(UTC), last)
    assert json.loads(path.read_text()) == {"format": 2, **json.loads(OLD), **added}
    assert results.last("houses") == last


def test_what_is_no_result_is_passed_over() -> None:
    keep("1.json", json.dumps({"domain": "houses", "at": "then", "clean": True, "seconds": 1}))
    keep("2.json", json.dumps({"domain": "houses"}))
    keep("3.json", "{")
    assert results.last("houses") == AuditResult("houses", "then", True, 1)
    assert results.last("production") is None


def test_a_result_of_a_newer_format_is_refused_and_a_page_goes_without_it() -> None:
    keep("1.json", OLD)
    assert list(results.last_of(["houses", "production"])) == ["houses"]
    keep("2.json", json.dumps({"format": 3, **json.loads(OLD)}))
    with pytest.raises(RefusedError, match=r"2\.json has format 3, and this version reads formats up to 2\."):
        results.last("houses")
    assert results.last_of(["houses"]) == {}
