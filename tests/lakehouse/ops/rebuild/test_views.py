"""A rebuild of a view: its state and rows go, and the batch layer brings back what the topic has lost."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lakehouse.contract import discovery
from lakehouse.contract.runs import Job
from lakehouse.contract.standard_tables import batch_table
from lakehouse.errors import RefusedError, UsageError
from lakehouse.kafka.topics import TopicState
from lakehouse.ops import rebuild
from lakehouse.ops.rebuild_plan import without_batch_layer
from lakehouse.streaming import checkpoints, sidecar
from lakehouse.streaming.sidecar import Sidecar
from lakehouse.tables import table_io
from tests.lakehouse.ops.rebuild.line import LINE, VIEW
from tests.lakehouse.streaming.test_start_checks import IDS, on_line

pytestmark = pytest.mark.usefixtures("lake")
AGAIN = Job("again.py", "--all")
VIEW_BATCH = batch_table("line", "view_batch", {"units": "BIGINT"}, VIEW.keys, "units, recomputed")


def test_views_are_rebuilt_with_their_state() -> None:
    delta = table_io.create(VIEW)
    table_io.append(delta, table_io.rows(VIEW, [{"units": 1}]), "g:units", 0)
    (VIEW.path / "_delta_log" / f"{1:020}.json").write_bytes(b"")
    checkpoint = checkpoints.path("line", "units")
    (checkpoint / "offsets").mkdir(parents=True)
    (checkpoint / "metadata").write_text(json.dumps({"id": "g"}))
    sidecar.write(checkpoint, Sidecar({"window": "2 minutes"}, generation="g"))
    rebuild.rebuild("line.units", False)
    assert not checkpoints.exists(checkpoint)
    assert sidecar.read(checkpoint) is None
    assert not VIEW.path.exists()
    with pytest.raises(UsageError, match="keeps none"):
        rebuild.rebuild("line.answers", True)


@pytest.fixture
def commands(broker: dict[str, TopicState], ran: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """What a rebuild runs; the topic has lost its oldest records, of which the view was made."""
    table_io.create(VIEW)
    broker["line"] = TopicState(IDS, on_line(5, 0), on_line(9, 9))
    return ran


def test_what_the_topic_no_longer_has_is_recomputed_first_where_the_domain_declares_how(
    commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = replace(LINE, tables=(*LINE.tables, VIEW_BATCH), recompute=AGAIN)
    monkeypatch.setattr(rebuild, "load", lambda name: domain)
    with pytest.raises(UsageError, match="keeps none"):
        rebuild.rebuild("line.units", True)
    rebuild.rebuild("line.units", False)
    assert commands == [("jobs/line/again.py", "--all")]
    assert not VIEW.path.exists()


@pytest.mark.parametrize("recompute", [None, AGAIN])
def test_rows_that_nothing_would_bring_back_are_lost_only_where_that_is_accepted(
    commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, recompute: Job | None
) -> None:
    monkeypatch.setattr(rebuild, "load", lambda name: replace(LINE, recompute=recompute))
    checkpoint = checkpoints.path("line", "units")
    sidecar.write(checkpoint, Sidecar({}, IDS, "an old one"))
    with pytest.raises(RefusedError, match=r"every record that view was made of.*rebuild line\.units --accept-loss"):
        rebuild.rebuild("line.units", False)
    assert VIEW.path.exists() and sidecar.read(checkpoint) is not None and not commands
    rebuild.rebuild("line.units", True)
    assert not VIEW.path.exists()
    rebuild.rebuild("line.units", False)  # there is nothing to lose


def test_records_that_were_gone_before_the_query_began_are_no_loss(commands: list[tuple[str, ...]]) -> None:
    sidecar.write(checkpoints.path("line", "units"), Sidecar({}, IDS, "an old one", on_line(5, 0)))
    rebuild.rebuild("line.units", False)
    assert not VIEW.path.exists() and not commands


@pytest.mark.parametrize(("domain", "query"), [("houses", "averages"), ("production", "totals")])
def test_the_batch_layers_of_the_domains_bring_their_rows_back(domain: str, query: str) -> None:
    declared = discovery.load(domain)
    assert without_batch_layer(declared, declared.query_tables[query]) == ()


def test_a_query_without_tables_loses_its_checkpoint_only(lake: Path) -> None:
    checkpoint = checkpoints.path("line", "answers")
    checkpoint.mkdir(parents=True)
    sidecar.write(checkpoint, Sidecar({}, {"line": "id-1"}, "an old one"))
    said = ["The checkpoint was dropped: the next start reads line from its first record."]
    assert rebuild.rebuild("line.answers", accept_loss=False) == said
    assert not checkpoint.exists() and not sidecar.file(checkpoint).exists()
