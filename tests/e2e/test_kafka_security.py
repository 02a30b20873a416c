"""Kafka by TLS and a login: the right one works, a wrong one and plain text are refused with a sentence."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer

from lakehouse import kafka, peek, topics
from lakehouse.domain import Topic
from lakehouse.errors import UnavailableError, UsageError
from lakehouse.settings import settings
from tests.conftest import running_broker

pytestmark = pytest.mark.e2e
TOPIC = Topic("secrets", 1, "for this test")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker that asks for TLS and a login; the settings are those of its own lake."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKE_VAR", str(tmp_path_factory.mktemp("lake") / "var"))
        patch.setenv("LAKE_KAFKA_SECURITY", "sasl_ssl")
        settings.cache_clear()
        with running_broker(settings().var) as bootstrap_servers:
            topics.ensure(bootstrap_servers, [TOPIC])
            yield bootstrap_servers
    settings.cache_clear()


@pytest.fixture
def client(secured: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The settings of a client elsewhere, to which the broker is one of somebody else's."""
    files = kafka.credentials()
    monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", secured)
    monkeypatch.setenv("LAKE_KAFKA_MECHANISM", "PLAIN")
    monkeypatch.setenv("LAKE_KAFKA_PASSWORD_FILE", str(files / "lake.password"))
    monkeypatch.setenv("LAKE_KAFKA_CA_FILE", str(files / "ca.pem"))
    settings.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    settings.cache_clear()


def test_the_right_login_sends_and_reads(secured: str, client: pytest.MonkeyPatch) -> None:
    producer = Producer({"bootstrap.servers": secured, **kafka.security()})
    producer.produce(TOPIC.name, b"for your eyes only")
    assert producer.flush(20) == 0
    found = topics.state(secured, TOPIC.name)
    assert found is not None
    assert [message.value for message in peek.last_messages(secured, TOPIC.name, found.ends, found.starts)] == [
        "for your eyes only"
    ]


def refusal(bootstrap_servers: str) -> str:
    settings.cache_clear()
    with pytest.raises(UnavailableError) as error:
        topics.check(bootstrap_servers, timeout=5)
    return str(error.value)


def test_a_wrong_password_is_refused(secured: str, client: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("guessed\n")
    client.setenv("LAKE_KAFKA_PASSWORD_FILE", str(tmp_path / "password"))
    assert refusal(secured) == (
        f"Kafka at {secured} refused the login of user 'lake'. "
        f"Check LAKE_KAFKA_USER and the password in {tmp_path / 'password'}."
    )


def test_another_user_is_refused(secured: str, client: pytest.MonkeyPatch) -> None:
    client.setenv("LAKE_KAFKA_USER", "root")
    assert refusal(secured).startswith(f"Kafka at {secured} refused the login of user 'root'.")


def test_plain_text_to_the_tls_port_is_told(secured: str, client: pytest.MonkeyPatch) -> None:
    client.setenv("LAKE_KAFKA_SECURITY", "plaintext")
    assert refusal(secured).startswith(f"Kafka at {secured} asks for TLS and a login. Set LAKE_KAFKA_SECURITY=sasl_ssl")


def test_a_certificate_of_somebody_else_is_refused(secured: str, client: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another broker's certificate, of the very same names."""
    from lakehouse.broker import _certificate

    kafka.write_private(tmp_path / "password", "x" * 12)
    _certificate(tmp_path / "other.p12", tmp_path / "password", tmp_path / "other.pem")
    client.setenv("LAKE_KAFKA_CA_FILE", str(tmp_path / "other.pem"))
    assert "does not speak TLS with a certificate that" in refusal(secured)


def test_tls_to_a_plain_broker_is_told(broker: str, secured: str, client: pytest.MonkeyPatch) -> None:
    assert refusal(broker).startswith(f"Kafka at {broker} does not speak TLS")


def test_the_controller_lets_no_client_in(secured: str) -> None:
    """It would take commands from anyone on this machine."""
    lines = (settings().var / "kafka/server.properties").read_text().splitlines()
    [controller] = [line.rsplit("CONTROLLER://", 1)[1] for line in lines if line.startswith("listeners=")]
    ca, password = kafka.credentials() / "ca.pem", kafka.credentials() / "lake.password"
    assert ca.exists() and password.exists()
    code = f"""
from confluent_kafka.admin import AdminClient
import sys
client = AdminClient({{"bootstrap.servers": {controller!r}, "log_level": 0, **eval(sys.argv[1])}})
try:
    client.list_topics(timeout=4)
    sys.exit(0)
except Exception:
    sys.exit(3)
"""
    for options in ({}, {"security.protocol": "SSL", "ssl.ca.location": str(ca)}):
        done = subprocess.run([sys.executable, "-c", code, repr(options)], check=False, timeout=60)
        assert done.returncode == 3, options


def test_no_password_is_readable_by_others_or_on_a_command_line(secured: str) -> None:
    folder = kafka.credentials()
    passwords = [(folder / name).read_text() for name in ("lake.password", "broker.password")]
    assert len({*passwords}) == 2
    kafka.spark_options()
    holders = [
        file
        for file in settings().var.rglob("*")
        if file.is_file() and any(text.encode() in file.read_bytes() for text in passwords)
    ]
    assert {file.name for file in holders} >= {"lake.password", "broker.password", "server.properties"}
    for file in [*holders, folder / "broker.p12"]:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert any("kafka.Kafka" in line for line in lines)
    assert not [line for line in lines if any(text in line for text in passwords)]


@pytest.mark.parametrize("content", [None, "", "\n", "two\nlines"])
def test_a_password_file_that_is_none(client: pytest.MonkeyPatch, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    client.setenv("LAKE_KAFKA_PASSWORD_FILE", str(file))
    settings.cache_clear()
    with pytest.raises(UsageError, match="LAKE_KAFKA_PASSWORD_FILE"):
        kafka.security()


def test_spark_logs_in_by_the_file(secured: str, client: pytest.MonkeyPatch, spark: "object", tmp_path: Path) -> None:
    """A password of all the characters that two formats quote reaches Kafka's Java client whole."""
    from pyspark.sql import SparkSession

    from lakehouse.streams import read_topic

    assert isinstance(spark, SparkSession)
    options = kafka.spark_options()
    password = (kafka.credentials() / "lake.password").read_text()
    assert not any(password in value for value in options.values())
    read = spark.read.format("kafka").options(**options)
    rows = read.option("kafka.bootstrap.servers", secured).option("subscribe", TOPIC.name).load()
    assert [bytes(row["value"]) for row in rows.select("value").collect()] == [b"for your eyes only"]
    stream = read_topic(spark, secured, TOPIC.name).writeStream.format("noop")
    query = stream.option("checkpointLocation", str(tmp_path / "checkpoint")).trigger(availableNow=True).start()
    query.awaitTermination(120)
    assert query.lastProgress is not None
    assert query.lastProgress.numInputRows == 1
    told = [query.lastProgress.json, rows._jdf.queryExecution().toString()]  # type: ignore[operator]
    told += [file.read_text(errors="replace") for file in tmp_path.rglob("*") if file.is_file()]
    assert not [text for text in told if password in text]
    (tmp_path / "password").write_text("guessed")
    client.setenv("LAKE_KAFKA_PASSWORD_FILE", str(tmp_path / "password"))
    settings.cache_clear()
    with pytest.raises(Exception, match=r"SaslAuthenticationException|Authentication failed"):
        spark.read.format("kafka").options(**kafka.spark_options()).option("kafka.bootstrap.servers", secured).option(
            "subscribe", TOPIC.name
        ).load().count()
