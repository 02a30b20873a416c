"""A pooler in session mode is a PostgreSQL: the same totals through it, and what is left when it goes and comes."""

from pathlib import Path

import pytest

from lakehouse.errors import UnavailableError
from lakehouse.settings import settings
from lakehouse.sinks.postgres import answering
from tests.jobs.production.line import count, counted, defect, passed
from tests.jobs.production.test_totals import batch, rows_of, staged, write
from tests.postgres import running_pooler

ONE = [passed("a", "BODY", 0), defect("a", "BODY", 3, "BODY", "gap"), passed("b", "BODY", 5)]
TWO = [passed("a", "PAINT", 7), passed("c", "BODY", 8), defect("b", "BODY", 9, "BODY", "dent")]


def test_totals_through_a_pooler(postgres_lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_pooler(tmp_path, postgres_lake) as through:
        monkeypatch.setenv("LAKE_POSTGRES_DSN", through)
        settings.cache_clear()
        writer = write([[event] for event in ONE], generation="pooled")  # so many that statements are prepared
        assert counted(rows_of(postgres_lake, "totals")) == count(ONE)
    with pytest.raises(UnavailableError, match="PostgreSQL does not answer"), answering():
        writer._count(staged(TWO), batch(3, "pooled"))
    with running_pooler(tmp_path, postgres_lake) as through:
        monkeypatch.setenv("LAKE_POSTGRES_DSN", through)
        settings.cache_clear()
        writer._connection = None
        writer._count(staged(TWO), batch(3, "pooled"))
        assert counted(rows_of(postgres_lake, "totals")) == count([*ONE, *TWO])
