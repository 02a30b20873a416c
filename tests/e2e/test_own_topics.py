"""Topics that were there before us, with one partition: producers, stream, audit; and more partitions meanwhile."""

import json
import signal
from collections import defaultdict

import pytest
from confluent_kafka.admin import NewTopic

from jobs.houses.schema import DOMAIN, SALES
from jobs.production.schema import EVENTS
from lakehouse.kafka import topic_settings, topics
from tests.e2e.running import Platform, read_topic, rows_of, wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def plain(platform: Platform) -> Platform:
    """The topics as a broker makes them by itself, before anything of ours has run."""
    futures = topics.admin(platform.bootstrap_servers).create_topics(
        [NewTopic(it.name, 1, 1) for it in (SALES, EVENTS)]
    )
    for future in futures.values():
        future.result(20)
    return platform


def test_the_lines_producer_uses_the_partitions_there_are(plain: Platform) -> None:
    line = Platform(plain.bootstrap_servers, plain.var, plain.env, domain="production")
    output = line.run("produce.py", "--units", "10", "--rate", "0", "--seed", "1")
    assert "failed 0 " in output
    assert len(read_topic(plain.bootstrap_servers, EVENTS.name, 1)) > 100


def test_sales_of_one_partition_are_read_and_more_partitions_are_while_the_stream_runs(plain: Platform) -> None:
    plain.run("build_datasets.py", "--load")
    stream = plain.job("stream.py")
    try:
        plain.run("produce.py", "--count", "200", "--rate", "0", "--seed", "3")
        assert len(read_topic(plain.bootstrap_servers, SALES.name, 1)) == 200
        wait_for(lambda: streamed(plain) == 200, 240, "the history of one partition")
        assert any(
            "partitions set to 4" in line
            for line in topic_settings.settle(plain.bootstrap_servers, DOMAIN.topics, fix=True)
        )
        plain.run("produce.py", "--count", "200", "--rate", "0", "--seed", "4")
        messages = read_topic(plain.bootstrap_servers, SALES.name, 4)
        later: dict[bytes, set[int]] = defaultdict(set)
        for message in messages:
            if message.partition() or message.offset() >= 200:  # the first 200 were in the one partition there was
                later[message.key()].add(message.partition())
        assert set().union(*later.values()) == {0, 1, 2, 3}
        assert {len(places) for places in later.values()} == {1}
        wait_for(lambda: streamed(plain) == 400, 120, "the history of four partitions")
    finally:
        stream.send_signal(signal.SIGTERM)
        _, error = stream.communicate(timeout=90)
    assert stream.returncode == 0, error
    assert "Topic houses: partitions is 1, not 4" in error
    assert "message.timestamp.after.max.ms is 3600000, not 300000" in error
    assert json.loads(plain.lake_output("audit", "houses", "--json"))[0]["clean"]
    assert sum(line.startswith("houses ") for line in plain.lake_output("topics", "houses").splitlines()) == 4


def streamed(platform: Platform) -> int:
    return sum(row["source"] == "stream" for row in rows_of(platform, "history"))
