"""The plan of a flow: from what a domain declares to boxes, their places and the lines between them."""

from dataclasses import replace
from datetime import timedelta
from itertools import combinations

import pyarrow.compute as pc
import pytest

from dashboard.live.source import Layers
from dashboard.pages import discovery
from dashboard.ui.flow_plan import Plan, plan
from lakehouse.contract import standard_tables
from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.contract.runs import Job, Process, Server
from lakehouse.contract.topics import event_topic

READINGS, ALARMS = event_topic("readings", 1, "readings"), event_topic("alarms", 1, "alarms")
HISTORY = standard_tables.history("gauges", {"id": "STRING", "event_at": "TIMESTAMP"}, ("id",), "history")
DEAD = standard_tables.dead_letters("gauges", "dead letters")
MEANS = standard_tables.speed_table("gauges", "means", {"id": "STRING"}, ("id",), "means", ())
MEANS_BATCH = standard_tables.batch_table("gauges", "means_batch", {"id": "STRING"}, ("id",), "means")
PARITY = standard_tables.parity("gauges", {"id": "STRING"}, ("id",), "parity")
LOG = standard_tables.batch_log("gauges", "means")
LAYERS = Layers(MEANS, MEANS_BATCH, PARITY, pc.field("cause") != "equal", timedelta(days=1))
SMALL = Domain(
    name="gauges",
    title="Gauges",
    topics=(READINGS,),
    tables=(HISTORY, DEAD),
    query_tables={"history": QueryTables((READINGS,), record_tables=(HISTORY, DEAD))},
    dead_letters=DEAD,
    processes=(Process("stream", Job("stream.py"), ("history",)),),
)
BOTH = replace(
    SMALL,
    tables=(HISTORY, DEAD, MEANS, LOG, MEANS_BATCH, PARITY),
    query_tables={"means": QueryTables((READINGS,), state_tables=(MEANS, LOG)), **SMALL.query_tables},
    processes=(Process("stream", Job("stream.py"), ("means", "history")),),
)

SERVERS = (Server.KAFKA, Server.POSTGRES)


def lines(planned: Plan) -> set[str]:
    return {f"{start}>{end}" for start, end in planned.edges}


def test_a_history_alone_is_what_the_page_shows() -> None:
    planned = plan(SMALL, None)
    assert [node.name for node in planned.nodes] == [
        *("producer", "topic-readings", "query-history", "table-history", "table-dead_letters", "page")
    ]
    assert lines(planned) == {
        *("producer>topic-readings", "topic-readings>query-history", "query-history>table-history"),
        *("query-history>table-dead_letters", "table-history>page"),
    }


def test_the_batch_layer_is_made_of_the_history_and_both_lead_to_the_page() -> None:
    planned = plan(BOTH, LAYERS)
    assert {"table-history>recompute", "recompute>table-means_batch", "table-means_batch>page"} <= lines(planned)
    assert "table-means>page" in lines(planned)
    assert "table-history>page" not in lines(planned)
    layers = {node.name: node.layer for node in planned.nodes}
    assert (layers["query-means"], layers["table-means"], layers["query-history"]) == ("speed", "speed", "batch")
    assert not {"table-means_batches", "table-parity"} & set(layers)  # a log, and the comparison


def test_without_declared_layers_a_computed_table_leads_to_the_page_alone() -> None:
    planned = plan(BOTH, None)
    assert {edge for edge in lines(planned) if "means_batch" in edge} == {"table-means_batch>page"}
    assert "recompute" not in {node.name for node in planned.nodes}


def test_each_topic_is_a_box_that_leads_to_the_queries_that_read_it() -> None:
    second = QueryTables((ALARMS,), state_tables=(MEANS,))
    runs = (Process("stream", Job("stream.py"), ("history", "means")),)
    tables, queries = (*SMALL.tables, MEANS), {**SMALL.query_tables, "means": second}
    planned = plan(replace(SMALL, tables=tables, query_tables=queries, processes=runs), None)
    assert {"producer>topic-alarms", "topic-alarms>query-means", "topic-readings>query-history"} <= lines(planned)
    assert "topic-alarms>query-history" not in lines(planned)


def test_a_topic_that_a_query_writes_is_what_it_leads_to() -> None:
    means = QueryTables((READINGS,), state_tables=(MEANS, LOG), written_topics=(ALARMS,))
    writes = replace(BOTH, topics=(READINGS, ALARMS), query_tables={**BOTH.query_tables, "means": means})
    planned = plan(writes, LAYERS)
    assert_sound(planned)
    assert "query-means>topic-alarms" in lines(planned)
    (box,) = [node for node in planned.nodes if node.name == "topic-alarms"]
    assert (box.kind, box.layer, box.column) == ("written-topic", "speed", 4)


def test_a_topic_between_two_queries_is_one_box_that_no_producer_writes() -> None:
    means = QueryTables((READINGS,), state_tables=(MEANS, LOG), written_topics=(ALARMS,))
    history = QueryTables((ALARMS,), record_tables=(HISTORY, DEAD))
    chain = replace(BOTH, topics=(READINGS, ALARMS), query_tables={"means": means, "history": history})
    planned = plan(chain, LAYERS)
    assert_sound(planned)
    assert {"query-means>topic-alarms", "topic-alarms>query-history"} <= lines(planned)
    assert "producer>topic-alarms" not in lines(planned)


def test_postgresql_is_where_a_query_with_state_writes() -> None:
    assert "query-means>postgres" in lines(plan(replace(BOTH, services=SERVERS), LAYERS))
    assert "postgres" not in {node.name for node in plan(replace(SMALL, services=SERVERS), None).nodes}


def test_what_several_queries_write_is_one_box_with_a_line_from_each() -> None:
    tops = replace(MEANS, name="tops")
    errors = replace(HISTORY, name="errors")
    several = {
        "means": QueryTables((READINGS,), state_tables=(MEANS,)),
        "tops": QueryTables((READINGS,), state_tables=(tops,)),
        "history": QueryTables((READINGS,), record_tables=(HISTORY, DEAD)),
        "errors": QueryTables((ALARMS,), record_tables=(errors, DEAD)),
    }
    runs = (Process("stream", Job("stream.py"), tuple(several)),)
    tables = (MEANS, tops, HISTORY, errors, DEAD)
    planned = plan(replace(SMALL, tables=tables, query_tables=several, processes=runs, services=SERVERS), None)
    assert_sound(planned)
    assert {"query-means>postgres", "query-tops>postgres"} <= lines(planned)
    assert {"query-history>table-dead_letters", "query-errors>table-dead_letters"} <= lines(planned)


@pytest.mark.parametrize("source", discovery.sources(), ids=lambda source: source.domain.name)
def test_every_end_of_a_line_is_a_box_and_no_two_boxes_have_one_place(source: discovery.Source) -> None:
    assert_sound(plan(source.domain, source.layers))


def assert_sound(planned: Plan) -> None:
    """Every end of a line is a box, and no two boxes have one name or one place."""
    names = [node.name for node in planned.nodes]
    assert len(set(names)) == len(names)
    assert {end for edge in planned.edges for end in edge} == set(names)
    placed = [node for node in planned.nodes if node.kind != "topic"]  # these stand under each other
    assert not [(a, b) for a, b in combinations(placed, 2) if (a.column, a.row) == (b.column, b.row)]
