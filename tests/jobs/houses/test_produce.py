"""The producer: what a message is, which houses are drawn, how fast, and what a failed delivery does."""

import json
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException

from jobs.houses import build_datasets, datasets, produce
from jobs.houses.events import SALE
from jobs.houses.schema import FIELDS
from lakehouse.core.stop_signal import StopSignal
from lakehouse.errors import DataError, LakeError
from lakehouse.kafka import topics
from lakehouse.kafka.producer import LONGEST_PAUSE, SHOWN_ERRORS, SLICE, Pace, Progress
from lakehouse.settings import ROOT, settings

ROW = {
    field.name: {"STRING": "7129300520", "INT": 3, "DOUBLE": 1.5}.get(field.column)
    for field in FIELDS
    if field.name not in ("sold_at", "event_id")
} | {"price": Decimal("221900.00"), "listed_at": datetime(2014, 10, 13, tzinfo=UTC), "grade": None}
SALES = [produce.encode(ROW | {"id": str(number)}) for number in range(50)]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything written goes to a folder of the test's own."""
    monkeypatch.setenv("LAKE_VAR", str(tmp_path / "var"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def closed_port() -> str:
    """An address where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def clock() -> SimpleNamespace:
    """A clock that only the test moves."""
    return SimpleNamespace(now=1000.0)


class FakeProducer:
    """Takes messages into a queue of `room`; poll passes `seconds` on the clock and acknowledges them all."""

    def __init__(self, clock: SimpleNamespace, room: int = 100_000, error: Exception | None = None) -> None:
        self.clock, self.room, self.error = clock, room, error
        self.queue: list[Callable[..., None]] = []
        self.sent_at: list[float] = []

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Callable[..., None]) -> None:
        if self.error:
            raise self.error
        if len(self.queue) >= self.room:
            raise BufferError
        self.queue.append(on_delivery)
        self.sent_at.append(self.clock.now)

    def poll(self, seconds: float) -> None:
        self.clock.now += seconds + 0.0002
        self.flush(0)

    def flush(self, _: float) -> int:
        for report in self.queue:
            report(None, None)
        self.queue.clear()
        return 0


def sender(producer: FakeProducer, rate: float = 0) -> produce.Sender:
    made = produce.Sender("127.0.0.1:1", rate, 1, StopSignal(), lambda: producer.clock.now)
    made.producer = producer
    return made


class TestMessage:
    def test_it_holds_every_field_of_a_sale_in_json(self) -> None:
        message = json.loads(produce.Stamp().value(produce.encode(ROW), 0))
        assert list(message) == [field.name for field in FIELDS if field.name != "grade"]  # which is not known
        assert (message["id"], message["price"], message["bathrooms"]) == ("7129300520", 221900, 1.5)
        assert message["listed_at"] == "2014-10-13T00:00:00.000Z"

    def test_cents_are_kept_and_the_key_is_the_house(self) -> None:
        sale = produce.encode(ROW | {"price": Decimal("99.05")})
        sent = sender(FakeProducer(SimpleNamespace(now=0))).message(sale, 1)
        assert sent.key == b"7129300520"
        assert b'"price":99.05,' in sent.value

    def test_it_is_sold_now_to_the_millisecond(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stamp = produce.Stamp()
        for nanoseconds, text in (
            (1_795_360_860_123_999_999, "2026-11-22T15:21:00.123Z"),
            (1_795_360_860_999_000_000, "2026-11-22T15:21:00.999Z"),
            (1_795_360_861_000_000_000, "2026-11-22T15:21:01.000Z"),
            (1_795_360_861_007_000_000, "2026-11-22T15:21:01.007Z"),
        ):
            monkeypatch.setattr(produce.time, "time_ns", lambda now=nanoseconds: now)
            sold_at = json.loads(stamp.value(SALES[0], 0))["sold_at"]
            assert sold_at == text
            assert re.fullmatch(TIME, sold_at)

    def test_no_two_event_ids_are_the_same_not_even_of_two_runs(self) -> None:
        ids = [
            json.loads(stamp.value(SALES[0], number))["event_id"]
            for stamp in (produce.Stamp(), produce.Stamp())
            for number in range(3)
        ]
        assert len(set(ids)) == 6


class TestDraw:
    def test_the_same_seed_draws_the_same_houses_with_repeats(self) -> None:
        one, same, other = (list(islice(produce.draw(SALES, seed, repeats=True), 1000)) for seed in (1, 1, 2))
        assert one == same != other
        counts = Counter(sale.id for sale in one)
        assert len(counts) == 50
        assert max(counts.values()) < 60

    def test_without_repeats_each_house_is_drawn_once_in_random_order(self) -> None:
        drawn = list(produce.draw(SALES, 1, repeats=False))
        assert sorted(drawn, key=lambda sale: sale.id) == sorted(SALES, key=lambda sale: sale.id)
        assert drawn != SALES


class TestReading:
    def test_houses_for_sale_are_sold_at_their_withheld_price(self) -> None:
        build_datasets.main()
        sales = [json.loads(SALE.encode(sale)) for sale in produce.read("for-sale")]
        [prices] = datasets.read_sets(datasets.FOR_SALE_PRICES)
        withheld = Counter((row["id"], float(row["price"])) for row in prices.to_pylist())
        assert Counter((sale["id"], float(sale["price"])) for sale in sales) == withheld
        assert set(sales[0]) == {field.name for field in FIELDS} - {"sold_at", "event_id"}
        assert len(produce.read("to-stream")) == 10807

    def test_missing_and_empty_sets_are_reported(self) -> None:
        with pytest.raises(DataError, match=r"build_datasets\.py"):
            produce.read("to-stream")
        build_datasets.main(initial=0.9, stream=0, for_sale=0.1)
        with pytest.raises(DataError, match="to-stream has no sales"):
            produce.read("to-stream")
        build_datasets.main(empty=True)
        with pytest.raises(DataError, match="started empty: there are no sales to send"):
            produce.read("for-sale")

    def test_sales_that_lack_what_an_event_must_have_are_not_sent(self, capsys: pytest.CaptureFixture[str]) -> None:
        flatiron = Path(__file__).parents[2] / "cases/08-flatiron/kc_house_data-v1.csv"
        build_datasets.main(source=flatiron, initial=0, stream=0.9, for_sale=0.1)
        sales = [json.loads(SALE.encode(sale)) for sale in produce.read("to-stream")]
        sold = datasets.read_sets(datasets.TO_STREAM)[0].to_pylist()
        whole = [row for row in sold if None not in (row["waterfront"], row["view"])]
        assert sorted(sale["id"] for sale in sales) == sorted(row["id"] for row in whole)
        assert f"{len(sold) - len(whole)} of 107 sales lack a required field" in capsys.readouterr().out


class TestPace:
    @pytest.mark.parametrize("rate", [0.5, 200, 20_000])
    def test_sales_go_out_evenly_at_the_rate(self, clock: SimpleNamespace, rate: float) -> None:
        producer = FakeProducer(clock)
        start = clock.now
        sender(producer, rate).run(islice(produce.draw(SALES, 1, repeats=True), int(rate * 4)))
        assert len(producer.sent_at) == int(rate * 4)
        for number, sent_at in enumerate(producer.sent_at):
            # Never early, and late by no more than a pause: no bursts.
            assert -1e-6 <= sent_at - start - number / rate <= LONGEST_PAUSE + 0.001

    def test_a_long_stall_is_not_made_up_for_in_one_burst(self) -> None:
        pace = Pace(100, start=0)
        assert pace.due(0, now=60) <= 101
        assert pace.due(101, now=60) == 0

    def test_a_full_queue_is_waited_for(self, clock: SimpleNamespace) -> None:
        run = sender(FakeProducer(clock, room=7))
        run.run(iter(SALES))
        assert (run.progress.sent, run.progress.acknowledged, run.progress.failed) == (50, 50, 0)

    def test_a_stop_signal_ends_it(self, clock: SimpleNamespace) -> None:
        producer = FakeProducer(clock)
        run = sender(producer, 10)
        producer.poll = lambda seconds: run.stop.request()  # type: ignore[method-assign]
        run.run(produce.draw(SALES, 1, repeats=True))
        assert (run.progress.sent, run.progress.acknowledged) == (1, 1)

    def test_an_error_that_ends_the_producer_ends_the_run(self, clock: SimpleNamespace) -> None:
        error = KafkaException(KafkaError(KafkaError._FATAL, "fenced", fatal=True))
        run = sender(FakeProducer(clock, error=error))
        run.run(islice(produce.draw(SALES, 1, repeats=True), 3 * SLICE))
        assert 0 < run.progress.failed == run.progress.sent <= SLICE
        assert "fenced" in run.progress.first_error


class TestFailure:
    def test_failed_deliveries_are_reported_and_make_it_fail(
        self, closed_port: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        build_datasets.main()
        monkeypatch.setattr(topics, "check", lambda brokers: "a broker that dies after this")
        monkeypatch.setattr(topics, "ensure", lambda brokers, topics: None)
        monkeypatch.setattr(StopSignal, "listen", lambda stop: stop)
        with pytest.raises(LakeError, match="20 of 20 sales were not delivered; the first: partition") as error:
            produce.main(rate=0, count=20, bootstrap_server=closed_port, delivery_timeout=1)
        assert error.value.exit_code == 1
        shown = capfd.readouterr()
        assert "sent 20  acknowledged 0  failed 20" in shown.out
        assert shown.err.count("Not delivered: partition") == SHOWN_ERRORS
        assert "%3|" not in shown.err  # librdkafka's own lines

    def test_an_outage_is_reported_once_and_so_is_the_next_one(self, capsys: pytest.CaptureFixture[str]) -> None:
        progress = Progress()
        away = KafkaError(KafkaError._ALL_BROKERS_DOWN)
        for _ in range(3):
            progress.on_error(away)
        assert capsys.readouterr().err.count("No broker answers") == 1
        progress.report(None, None)
        progress.on_error(away)
        assert capsys.readouterr().err.count("No broker answers") == 1

    def test_a_report_that_stays_out_is_a_failure(self, closed_port: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("lakehouse.kafka.producer.STOP_FLUSH", 0.3)
        run = produce.Sender(closed_port, 0, 30, StopSignal())
        run.offer(SALES[0])
        run.stop.request()
        run.flush()
        assert (run.progress.failed, run.progress.first_error) == (1, "no delivery report in time")


def test_the_producer_starts_no_spark() -> None:
    code = "import sys, jobs.houses.produce, jobs.houses.build_datasets; print('pyspark' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
