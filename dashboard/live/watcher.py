"""Keeps the readers of one domain and looks through all of them at once."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

import pandas as pd

from dashboard.live.broker import TopicWatch, together
from dashboard.live.domain_view import DomainView, LayersView, only_written, topic_names
from dashboard.live.list_reader import ListReader
from dashboard.live.models import ModelReader, ModelView
from dashboard.live.queries import query_view
from dashboard.live.source import Layers, Readings, Source
from lakehouse.contract import standard_tables
from lakehouse.errors import first_line
from lakehouse.tables import loads
from lakehouse.tables.loads import Loader
from lakehouse.tables.reader import Reading, TableReader
from lakehouse.tables.table_io import Table

DEAD_LETTERS = 1000  # the newest, of which the overview names the commonest reasons
COORDINATES = tuple(standard_tables.COORDINATES)


class LayersWatch:
    """Reads speed and batch layer, and chooses between their rows when one has changed."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        recent = loads.recent(layers.order, layers.span)
        self._speed, self._batch = TableReader(layers.speed, recent), TableReader(layers.batch, recent)
        self._parity = TableReader(layers.parity, loads.matching(layers.disagrees, limit=500))
        none = Reading()
        no_rows = layers.speed.arrow_schema.empty_table().to_pandas().assign(layer="")
        self._view = LayersView(layers, none, none, none, no_rows)
        self._chosen_of = none, none  # the readings of which `_view` has the rows

    def look(self) -> LayersView:
        """The layers now; the rows that were served last, and an error in both layers, where `serve` fails."""
        read = self._speed.read(), self._batch.read()
        if read != self._chosen_of:
            self._view, self._chosen_of = self._choose(*read), read
        return replace(self._view, parity=self._parity.read())

    def tables(self, view: LayersView) -> dict[str, Reading]:
        """The readings by the names of their tables."""
        layers = self._layers
        return {layers.speed.name: view.speed, layers.batch.name: view.batch, layers.parity.name: view.parity}

    def _choose(self, speed: Reading, batch: Reading) -> LayersView:
        try:
            return replace(self._view, speed=speed, batch=batch, served=self._serve(speed, batch))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # of a domain's own `serve`: it must not stop the other domains
            sentence = _not_served(self._layers, error)
            logging.getLogger(__name__).exception(sentence)
            speed, batch = (
                replace(reading, state="error", error=reading.error or sentence) for reading in (speed, batch)
            )
            return replace(self._view, speed=speed, batch=batch)

    def _serve(self, speed: Reading, batch: Reading) -> pd.DataFrame:
        layers = self._layers
        rows = layers.serve(speed.frame, batch.frame, layers.speed.keys)
        order = rows[layers.order]
        shown = rows[order >= order.max() - layers.span] if len(rows) else rows
        return shown.reset_index(drop=True)


def _not_served(layers: Layers, error: BaseException) -> str:
    speed, batch = layers.speed, layers.batch
    return (
        f"`serve` cannot choose between the rows of {speed.domain}.{speed.name} and {batch.name}: "
        f"{type(error).__name__}: {first_line(str(error), 'no message').rstrip('.')}. "
        f"Correct `layers` in dashboard/pages/{speed.domain}/source.py."
    )


class Watcher:
    """Looks at one domain: its topics, its queries, and each of its tables once; `events` reads its live list."""

    def __init__(self, source: Source) -> None:
        self.source = source
        domain = source.domain
        self._reads = {query: topic_names(domain, query) for query in domain.queries}
        self._written = only_written(domain)
        names = dict.fromkeys((*_flat(self._reads.values()), *self._written))
        self.topics = {name: TopicWatch(name) for name in names}
        self.events = self._list(source)
        self._readers = {name: TableReader(table, load) for name, (table, load) in source.readings.items()}
        self._layers = LayersWatch(source.layers) if source.layers else None
        self._models = [ModelReader(model) for model in domain.models]
        self._others = {table.name: TableReader(table, load) for table, load in _not_read(source)}

    def _list(self, source: Source) -> ListReader | None:
        listed = source.events
        return ListReader(listed, self.topics[listed.topic.name].view) if listed else None

    def look(self, now: datetime) -> DomainView:
        """The domain now."""
        domain = self.source.domain
        topics = {name: watch.view() for name, watch in self.topics.items()}
        written = {name: topics.pop(name) for name in self._written}
        queries = {
            query: query_view(domain.name, query, together([topics[name] for name in names]), now)
            for query, names in self._reads.items()
        }
        by_name = {name: reader.read() for name, reader in self._readers.items()}
        layers = self._layers.look() if self._layers else None
        values = {name: self._value(name, make, by_name) for name, make in self.source.values.items()}
        models = {reader.model.name: self._model(reader) for reader in self._models}
        tables = self._tables(by_name, layers)
        return DomainView(domain, topics, queries, tables, by_name, values, layers, models, written)

    def _tables(self, by_name: Readings, layers: LayersView | None) -> dict[str, Reading]:
        """Every table that is read, by its name: of several readings of it the first."""
        tables = {name: reader.read() for name, reader in self._others.items()}
        tables |= self._layers.tables(layers) if self._layers and layers else {}
        for name, (table, _load) in self.source.readings.items():
            tables.setdefault(table.name, by_name[name])
        return tables

    def _model(self, reader: ModelReader) -> ModelView:
        found = self._value(f"The model {reader.model.name}", lambda _readings: reader.read(), {})
        return found if isinstance(found, ModelView) else ModelView(reader.model, error="The models cannot be read.")

    def _value(self, name: str, make: Callable[[Readings], object], readings: Readings) -> object:
        try:
            return make(readings)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a library's panic, too: one part that cannot be read must not stop the others
            logging.getLogger(__name__).exception("%s of %s cannot be read.", name, self.source.domain.name)
            return None


def _flat(groups: Iterable[tuple[str, ...]]) -> list[str]:
    return [name for group in groups for name in group]


def _not_read(source: Source) -> list[tuple[Table, Loader]]:
    """The tables of which the source reads no rows: how many there are is shown of each, but of batch logs."""
    read = {table.name for table, _load in source.readings.values()}
    layers = source.layers
    read |= {layers.speed.name, layers.batch.name, layers.parity.name} if layers else set()
    newest = loads.newest(DEAD_LETTERS, (*COORDINATES, "reason"))
    dead = source.domain.dead_letters
    return [
        (table, newest if table == dead else loads.shape)
        for table in source.domain.tables
        if table.name not in read and not standard_tables.is_batch_log(table)
    ]
