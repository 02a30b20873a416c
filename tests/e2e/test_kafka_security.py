"""Kafka by TLS and a login: the right one works, a wrong one and plain text are refused with a sentence."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer

from jobs.houses.schema import DEAD_LETTERS, DOMAIN
from lakehouse.contract.topics import Topic
from lakehouse.core import files
from lakehouse.errors import UnavailableError, UsageError
from lakehouse.kafka import client, peek, topics
from lakehouse.settings import ROOT, settings
from lakehouse.tables import table_io
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
        settings().var.mkdir()
        with running_broker(settings().var) as bootstrap_servers:
            topics.ensure(bootstrap_servers, [TOPIC])
            yield bootstrap_servers
    settings.cache_clear()


@pytest.fixture
def elsewhere(secured: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The settings of a client elsewhere, to which the broker is one of somebody else's."""
    folder = client.credentials()
    monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", secured)
    monkeypatch.setenv("LAKE_KAFKA_MECHANISM", "PLAIN")
    monkeypatch.setenv("LAKE_KAFKA_PASSWORD_FILE", str(folder / "lake.password"))
    monkeypatch.setenv("LAKE_KAFKA_CA_FILE", str(folder / "ca.pem"))
    settings.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    settings.cache_clear()


def test_the_right_login_sends_and_reads(secured: str, elsewhere: pytest.MonkeyPatch) -> None:
    producer = Producer({"bootstrap.servers": secured, **client.security()})
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


def test_a_wrong_password_is_refused(secured: str, elsewhere: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("guessed\n")
    elsewhere.setenv("LAKE_KAFKA_PASSWORD_FILE", str(tmp_path / "password"))
    assert refusal(secured) == (
        f"Kafka at {secured} refused the login of user 'lake'. "
        f"Check LAKE_KAFKA_USER and the password in {tmp_path / 'password'}."
    )


def test_another_user_is_refused(secured: str, elsewhere: pytest.MonkeyPatch) -> None:
    elsewhere.setenv("LAKE_KAFKA_USER", "root")
    assert refusal(secured).startswith(f"Kafka at {secured} refused the login of user 'root'.")


def test_plain_text_to_the_tls_port_has_a_sentence(secured: str, elsewhere: pytest.MonkeyPatch) -> None:
    elsewhere.setenv("LAKE_KAFKA_SECURITY", "plaintext")
    assert refusal(secured).startswith(f"Kafka at {secured} requires TLS and a login. Set LAKE_KAFKA_SECURITY=sasl_ssl")


def test_a_certificate_of_somebody_else_is_refused(secured: str, elsewhere: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another broker's certificate, of the very same names."""
    from lakehouse.embedded.kafka_broker import _certificate

    files.write_private(tmp_path / "password", "x" * 12)
    _certificate(tmp_path / "other.p12", tmp_path / "password", tmp_path / "other.pem")
    elsewhere.setenv("LAKE_KAFKA_CA_FILE", str(tmp_path / "other.pem"))
    assert "does not use TLS with a certificate signed by" in refusal(secured)


def test_tls_to_a_plain_broker_has_a_sentence(elsewhere: pytest.MonkeyPatch, tmp_path: Path) -> None:
    elsewhere.setenv("LAKE_KAFKA_SECURITY", "plaintext")
    settings.cache_clear()
    with running_broker(tmp_path) as plain:
        elsewhere.setenv("LAKE_KAFKA_SECURITY", "sasl_ssl")
        assert refusal(plain).startswith(f"Kafka at {plain} does not use TLS")


def test_the_controller_lets_no_client_in(secured: str) -> None:
    """It would take commands from anyone on this machine."""
    lines = (settings().var / "kafka/server.properties").read_text().splitlines()
    [controller] = [line.rsplit("CONTROLLER://", 1)[1] for line in lines if line.startswith("listeners=")]
    ca, password = client.credentials() / "ca.pem", client.credentials() / "lake.password"
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
    folder = client.credentials()
    passwords = [(folder / name).read_text() for name in ("lake.password", "broker.password")]
    assert len({*passwords}) == 2
    client.spark_options()
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
def test_a_password_file_that_is_none(elsewhere: pytest.MonkeyPatch, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    elsewhere.setenv("LAKE_KAFKA_PASSWORD_FILE", str(file))
    settings.cache_clear()
    with pytest.raises(UsageError, match="LAKE_KAFKA_PASSWORD_FILE"):
        client.security()


def test_spark_logs_in_and_its_event_log_does_not_tell(
    secured: str, elsewhere: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "events"
    log.mkdir()
    topics.ensure(secured, DOMAIN.topics)
    producer = Producer({"bootstrap.servers": secured, **client.security()})
    producer.produce("houses", b"no sale", b"k", partition=0)
    assert producer.flush(20) == 0
    command = [str(ROOT / "spark-submit.sh"), "--conf", "spark.eventLog.enabled=true"]
    command += ["--conf", "spark.eventLog.compress=false", "--conf", f"spark.eventLog.dir={log}"]
    command += ["jobs/houses/stream.py", "--query", "history"]
    done = subprocess.run([*command, "--trigger", "available-now"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [row["value"] for row in table_io.read(DEAD_LETTERS).to_pylist()] == [b"no sale"]
    events = "".join(file.read_text() for file in log.rglob("*") if file.is_file())
    assert "SparkListenerApplicationEnd" in events
    password = (client.credentials() / "lake.password").read_text()
    assert password not in events + done.stdout + done.stderr
    assert not [
        f for f in (settings().var / "checkpoints").rglob("*") if f.is_file() and password in f.read_text("latin1")
    ]
    elsewhere.setenv("LAKE_KAFKA_PASSWORD_FILE", str(tmp_path / "guess"))
    (tmp_path / "guess").write_text("guessed")
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (69, "")
    assert refused.stderr.startswith(f"Error: Kafka at {secured} refused the login of user 'lake'.")
