"""Event times far apart, idle partitions and one far behind: state stays bounded, windows close, counts are right."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.houses.schema import AVERAGES, DOMAIN, HISTORY, SALES
from jobs.houses.stream import QueryName
from lakehouse.core import run_state
from lakehouse.kafka import topics
from lakehouse.kafka.producer import Outgoing
from lakehouse.streaming import progress_metrics
from lakehouse.tables import table_io
from tests import suite
from tests.audit.looks import conservation
from tests.conftest import running_broker
from tests.jobs.houses.audit_oracle import WINDOW
from tests.jobs.houses.suite import sale
from tests.sites import Site

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600), pytest.mark.usefixtures("calm")]
NOW = datetime.now(UTC).replace(microsecond=0)
STRAY = 20_000


@pytest.fixture
def sent(tmp_path: Path) -> Iterator[Site]:
    """A topic with nothing on it."""
    with running_broker(tmp_path) as bootstrap_servers:
        topics.ensure(bootstrap_servers, DOMAIN.topics)
        yield Site.of(suite.load("houses"), bootstrap_servers, Path(), seed=7)


def sales(site: Site, times: Iterable[datetime], partitions: Sequence[int]) -> Iterator[Outgoing]:
    """A sale of a house of its own for each time."""
    for at in times:
        site.sent += 1
        yield Outgoing(sale(site.rng, site.sent, at), b"", partitions[site.sent % len(partitions)])


def state_rows() -> float:
    """Rows in the state of the averages."""
    rows = progress_metrics.state_rows(run_state.read_json(run_state.progress_file("houses", "averages")))
    assert rows is not None
    return rows


def finals() -> dict[datetime, bool]:
    """Whether each window is final."""
    return {
        row["window_end"]: row["is_final"] for row in table_io.read(AVERAGES, ["window_end", "is_final"]).to_pylist()
    }


def counted() -> int:
    """Sales in the averages."""
    return sum(table_io.read(AVERAGES, ["sales"])["sales"].to_pylist())


def test_state_holds_what_is_open_however_many_houses_and_times_there_were(
    site: Site, run: Callable[..., None]
) -> None:
    """R28: one batch of many ids spread over twenty-five years is the most it keeps, and only until the next."""
    long_ago = (NOW - timedelta(days=site.rng.uniform(1, 9000)) for _ in range(STRAY))
    site.produce(sales(site, [*long_ago, NOW], range(SALES.partitions)))
    run(QueryName.averages, most=10 * STRAY)
    assert counted() == STRAY + 1
    site.produce(sales(site, [NOW + timedelta(seconds=1)], [0]))
    run(QueryName.averages)
    assert state_rows() <= 2  # the windows of NOW
    assert sum(not final for final in finals().values()) == len([end for end in finals() if end > NOW])


def test_idle_partitions_hold_no_window_open_and_one_far_behind_is_counted_late(
    site: Site, run: Callable[..., None]
) -> None:
    """R30: the watermark is one for the whole topic, so what lags behind it is late: in the history, and counted."""
    began = NOW - timedelta(hours=1)
    site.produce(sales(site, [began + timedelta(seconds=5 * number) for number in range(240)], [2]))
    run(QueryName.averages, most=1000)  # with the batch without records that moves the watermark
    ends = finals()
    watermark = began + timedelta(seconds=5 * 239 - 30)
    assert {end for end, final in ends.items() if final} == {end for end in ends if end <= watermark}
    before = counted()
    assert before == 240
    site.produce(sales(site, [began + timedelta(seconds=number) for number in range(10)], [1]))
    run(most=1000)
    assert (counted(), table_io.read(HISTORY).num_rows, conservation(site)) == (before, 250, [])
    site.produce(
        sales(site, [began + timedelta(minutes=20) + 2 * WINDOW], [3])
    )  # nothing but newer time closes the last windows
    run(QueryName.averages, most=1000)
    assert [final for end, final in sorted(finals().items())] == [True] * len(ends) + [False]
