"""What a start says of a topic that is there already: which settings differ, what that costs, what is set."""

import pytest

from jobs.houses.schema import AVERAGE_UPDATES, SALES
from lakehouse.kafka.topic_differences import USUAL, TopicSettings, differences

OURS = {**USUAL, **dict(SALES.config), "min.insync.replicas": "1"}
# What Kafka gives a topic that it makes by itself.
BY_ITSELF = {
    **USUAL,
    "compression.type": "producer",
    "max.message.bytes": "1048588",
    "message.timestamp.after.max.ms": "3600000",
    "message.timestamp.before.max.ms": "9223372036854775807",
    "min.insync.replicas": "1",
}


def deviations(
    changes: dict[str, str], replicas: int = 1, brokers: int = 1, used: bool = True
) -> dict[str, tuple[str, str]]:
    """The cost and what is left to others, of each setting that differs."""
    state = TopicSettings(SALES.partitions, replicas, brokers, used, {**OURS, **changes})
    return {one.setting: (one.cost, one.left) for one in differences(SALES, state)}


def test_a_topic_as_we_make_it_and_one_with_more_partitions_differ_in_nothing() -> None:
    assert deviations({}) == {}
    assert differences(SALES, TopicSettings(12, config=OURS)) == []


def test_a_topic_that_made_itself_differs_in_what_kafka_chose() -> None:
    found = {one.setting: one.sentence("houses") for one in differences(SALES, TopicSettings(1, config=BY_ITSELF))}
    assert set(found) == {"partitions", *dict(SALES.config)}
    assert found["partitions"] == (
        "Topic houses: partitions is 1, not 4: at most 1 of Spark's tasks read it at a time."
    )
    assert "senders of larger batches get an error" in found["max.message.bytes"]
    assert "late" in found["message.timestamp.after.max.ms"]


@pytest.mark.parametrize(
    ("changes", "setting", "words"),
    [
        (
            {"retention.ms": "3600000"},
            "retention.ms",
            "no rebuild or audit can go further back (1.0 hours)",
        ),
        ({"retention.bytes": "1000000"}, "retention.bytes", "the oldest records go"),
        ({"message.timestamp.type": "LogAppendTime"}, "message.timestamp.type", "the time of its arrival"),
        ({"max.message.bytes": "10000000"}, "max.message.bytes", "memory"),
        ({"message.timestamp.after.max.ms": "1000"}, "message.timestamp.after.max.ms", "further ahead get an error"),
        ({"cleanup.policy": "compact"}, "cleanup.policy", "so events are lost"),
        ({"cleanup.policy": "compact,delete"}, "cleanup.policy", "so events are lost"),
    ],
)
def test_each_setting_says_what_it_costs(changes: dict[str, str], setting: str, words: str) -> None:
    found = deviations(changes)
    assert list(found) == [setting]
    assert words in found[setting][0]


def test_longer_retention_costs_nothing() -> None:
    assert deviations({"retention.ms": "-1"}) == deviations({"retention.ms": "2592000000"}) == {}


def test_what_would_delete_records_is_left_to_others() -> None:
    assert "older than retention.ms" in deviations({"cleanup.policy": "compact"})["cleanup.policy"][1]
    assert deviations({"cleanup.policy": "compact"}, used=False)["cleanup.policy"][1] == ""
    assert deviations({"cleanup.policy": "compact", "retention.ms": "-1"})["cleanup.policy"][1] == ""
    assert deviations({"cleanup.policy": "compact,delete"})["cleanup.policy"][1] == ""


def test_replicas_are_for_those_who_run_the_cluster() -> None:
    assert "cannot send anything" in deviations({"min.insync.replicas": "2"})["min.insync.replicas"][0]
    assert "while that broker is down" in deviations({}, brokers=3)["replicas"][0]
    cost, left = deviations({}, replicas=3, brokers=3)["min.insync.replicas"]
    assert "lost with it" in cost and left
    assert deviations({"min.insync.replicas": "2"}, replicas=3, brokers=3) == {}


def test_a_setting_that_the_broker_does_not_know_is_named_and_not_set() -> None:
    old = {name: value for name, value in OURS.items() if not name.startswith("message.timestamp.after")}
    (one,) = differences(SALES, TopicSettings(4, config=old))
    assert one.sentence("houses") == (
        "Topic houses: message.timestamp.after.max.ms is unknown to the broker, not 300000: one record dated far ahead "
        "can make all later ones late. --fix-topics does not set it: this Kafka is too old for it."
    )


def test_updates_that_are_not_compacted_are_named() -> None:
    differ = differences(AVERAGE_UPDATES, TopicSettings(1, config=USUAL))
    assert [(one.setting, one.left) for one in differ] == [("cleanup.policy", "")]


def test_settings_that_are_not_ours_to_see_are_not_compared() -> None:
    assert [one.setting for one in differences(SALES, TopicSettings(1, config=None))] == ["partitions"]
