"""The boxes of a domain's flow, where each stands and what leads to what, from what the domain declares.

Columns from left to right: producer, topics, queries, what they write, what the batch layer computes, the page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dashboard.live.domain_view import history_of, topic_names
from dashboard.live.source import Layers
from lakehouse.contract import standard_tables
from lakehouse.contract.domain import Domain
from lakehouse.contract.runs import Server
from lakehouse.tables.table_io import Table

Kind = Literal["producer", "topic", "query", "table", "written-topic", "dead-letters", "postgres", "recompute", "page"]
Layer = Literal["in", "speed", "batch", "out"]
QUERIES, WRITTEN, COMPUTED, PAGE = 3, 4, 5, 6  # columns


@dataclass(frozen=True)
class Node:
    """A box: what it stands for (`kind`, and `of` as the domain names it), and its place in the grid."""

    name: str
    kind: Kind
    of: str
    layer: Layer
    column: int
    row: int


@dataclass(frozen=True)
class Plan:
    """The boxes in reading order, the pairs of names between which a line is drawn, and the last row with a query."""

    nodes: Sequence[Node]
    edges: Sequence[tuple[str, str]]
    last_row: int


def plan(domain: Domain, layers: Layers | None) -> Plan:
    """The flow of a domain. Batch logs are left out; the comparison of the layers is the box `recompute`."""
    topics = list(dict.fromkeys(name for query in domain.queries for name in topic_names(domain, query)))
    nodes = [Node("producer", "producer", "", "in", 1, 1)]
    nodes += [Node(_topic(name), "topic", name, "in", 2, 1) for name in topics]
    made_here = {topic.name for of in domain.query_tables.values() for topic in of.written_topics}
    edges = [("producer", _topic(name)) for name in topics if name not in made_here]
    row = last_row = 1
    for query in domain.queries:
        last_row = row
        written = list(_written(domain, query))
        known = {node.name for node in nodes}  # what several queries write is one box, or what another one reads
        new = [node for node in written if node.name not in known]
        nodes.append(Node(f"query-{query}", "query", query, _layer(domain, query), QUERIES, row))
        nodes += [replace(node, row=row + at) for at, node in enumerate(new)]
        edges += [(_topic(name), f"query-{query}") for name in topic_names(domain, query)]
        edges += [(f"query-{query}", node.name) for node in written]
        row += max(1, len(new))
    computed = list(_computed(domain, layers, nodes))
    page = Node("page", "page", "", "out", PAGE, 1)
    return Plan([*nodes, *computed, page], [*edges, *_to_page(domain, layers, [*nodes, *computed])], last_row)


def _layer(domain: Domain, query: str) -> Layer:
    return "batch" if domain.query_tables[query].record_tables else "speed"


def _written(domain: Domain, query: str) -> Iterator[Node]:
    """A box per table and topic that the query writes, and one for PostgreSQL where its state tables are too.

    They are not yet placed.
    """
    of, layer = domain.query_tables[query], _layer(domain, query)
    for table in of.tables:
        if standard_tables.is_batch_log(table):
            continue
        kind: Kind = "dead-letters" if table == domain.dead_letters else "table"
        yield Node(_name(table), kind, table.name, layer, WRITTEN, row=0)
    for topic in of.written_topics:
        yield Node(_topic(topic.name), "written-topic", topic.name, layer, WRITTEN, row=0)
    if Server.POSTGRES in domain.services and (of.state_tables or of.postgres_tables):
        yield Node("postgres", "postgres", "", layer, WRITTEN, row=0)


def _computed(domain: Domain, layers: Layers | None, nodes: Sequence[Node]) -> Iterator[Node]:
    """The recomputation with its table, and every other table that no query writes."""
    history = history_of(domain)
    row = next((node.row for node in nodes if history and node.name == _name(history)), 1)
    if layers:
        yield Node("recompute", "recompute", layers.parity.name, "batch", COMPUTED, row)
        row += 1
    streamed = [table for of in domain.query_tables.values() for table in of.tables]
    others = [table for table in domain.tables if table not in streamed and not (layers and table == layers.parity)]
    for table in others:
        yield Node(_name(table), "table", table.name, "batch", COMPUTED, row)
        row += 1


def _to_page(domain: Domain, layers: Layers | None, nodes: Sequence[Node]) -> Iterator[tuple[str, str]]:
    """The lines of the batch layer, and those to the page; the history leads there where nothing is made of it."""
    history = history_of(domain)
    source = _name(history) if history else ""
    if layers:
        yield from [(source, "recompute")] if source else []
        yield "recompute", _name(layers.batch)
    for node in nodes:
        if node.kind == "table" and not (layers and node.name == source):
            yield node.name, "page"


def _topic(name: str) -> str:
    return f"topic-{name}"


def _name(table: Table) -> str:
    return f"table-{table.name}"
