"""Ask and answer, as the echo does it: a real broker, Spark in real-time mode, a web process; killed and stopped."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dashboard.live.broker import TopicView
from dashboard.live.queries import query_health
from lakehouse.core.net import free_port
from lakehouse.core.states import QueryState
from lakehouse.kafka import topics
from lakehouse.streaming import checkpoints, sidecar
from tests.e2e.running import wait_for
from tests.echo import kills
from tests.echo.clients import Client
from tests.echo.running import SLOW, Echo, Web, echoing
from tests.echo.schema import REQUESTS

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Echo]:
    """An echo whose query is at work."""
    with echoing(tmp_path_factory.mktemp("echo")) as running:
        running.start()
        wait_for(running.at_work, SLOW, "the query at work")
        yield running


@pytest.fixture(scope="module")
def client(echo: Echo) -> Iterator[Client]:
    with Web(echo, free_port()) as web:
        yield Client(web.port)


def answer_to(client: Client, text: str) -> Any:
    """What the request is answered with."""
    request_id = client.ask(text)
    wait_for(lambda: client.state(request_id).get("state") == "answered", SLOW, "the answer")
    return client.state(request_id)["answer"]


def health(echo: Echo) -> Any:
    found = topics.state(echo.bootstrap_servers, REQUESTS.name)
    assert found is not None
    starts, ends = tuple(found.starts.items()), tuple(found.ends.items())
    return query_health("echo", "texts", TopicView(REQUESTS.name, ends=ends, starts=starts), None, datetime.now(UTC))


def test_requests_are_answered_and_health_shows_how_fast(echo: Echo, client: Client) -> None:
    for number in range(20):
        assert answer_to(client, f"hello {number}") == f'v1:"hello {number}"'
    shown = wait_for(lambda: (now := health(echo)).latency_ms and not now.lag and now, 60, "the latency")
    assert (shown.state, shown.trigger, shown.restarts) == (QueryState.RUNNING, "real-time 60 seconds", 0)
    assert 0 <= shown.latency_ms[0] <= shown.latency_ms[1]
    beside = sidecar.read(checkpoints.path("echo", "texts"))
    assert beside is not None
    assert beside.generation == checkpoints.generation(checkpoints.path("echo", "texts"))


def test_another_version_goes_live_and_one_that_is_broken_does_not(echo: Echo, client: Client) -> None:
    before = sidecar.read(checkpoints.path("echo", "texts"))
    echo.publish("v2")
    wait_for(lambda: answer_to(client, "who?") == 'v2:"who?"', SLOW, "the next version")
    echo.publish("broken")
    error = wait_for(lambda: health(echo).last_error, 60, "the error")
    assert error == "The model that is live cannot be used, v2 goes on: the model's file is damaged"
    assert answer_to(client, "still?") == 'v2:"still?"'
    echo.publish("v1")
    wait_for(lambda: answer_to(client, "who?") == 'v1:"who?"', SLOW, "the version before")
    assert sidecar.read(checkpoints.path("echo", "texts")) == before


def test_a_stop_is_clean_and_the_next_start_goes_on(echo: Echo, client: Client) -> None:
    first = client.ask("before")
    wait_for(lambda: client.state(first).get("state") == "answered", SLOW, "the answer")
    before = client.state(first)
    assert echo.stop() == 0
    waits = client.ask("meanwhile")
    assert client.state(waits)["state"] == "queued"
    echo.start()
    wait_for(lambda: client.state(waits).get("state") == "answered", SLOW, "the answer")
    assert client.state(first) == before  # answered again on the topic, since Spark had not committed it


def test_too_few_task_slots_are_refused(tmp_path: Path) -> None:
    with echoing(tmp_path) as small:
        assert small.start(spark="local[2]").wait(SLOW) == 2
        said = small.output.read_text().splitlines()[-1]
        assert said == (
            "Error: The real-time query echo.texts needs more than 2 task slots, since each partition of echo.requests "
            "keeps one for good; the master local[2] has 2. Start it with --master 'local[4]', or with more cores on a "
            "cluster."
        )


def test_nothing_is_lost_over_kills(tmp_path: Path) -> None:
    with echoing(tmp_path) as killed:
        assert kills.run(killed, 4, seed=7, say=print) == []
