"""Clients of Kafka: in plain text, or by TLS with a login whose password is kept in one file only."""

import socket
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lakehouse.core import files
from lakehouse.errors import UnavailableError, UsageError
from lakehouse.settings import settings

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Producer

SECURE = "sasl_ssl"


class Login(NamedTuple):
    """A user, the mechanism, and the files of the password and of the authority behind the broker's certificate."""

    user: str
    mechanism: str
    password_file: Path
    ca: Path

    def password(self) -> str:
        """The password: the one line of the file. Raises UsageError when the file is something else."""
        try:
            password = self.password_file.read_text().rstrip("\r\n")
        except (OSError, ValueError):
            password = ""
        if not password.isprintable() or not password:
            raise UsageError(
                f"Kafka's password file {self.password_file} cannot be read or is not one line of text.",
                "Name it with LAKE_KAFKA_PASSWORD_FILE.",
            )
        return password


def credentials() -> Path:
    """The folder of the embedded broker's password and certificate."""
    return settings().var / "kafka/credentials"


def login() -> Login | None:
    """The login of the settings; None for plain text. Raises UsageError when its files are not named."""
    config = settings()
    is_embedded = config.bootstrap_servers == "embedded"
    broker = config.embedded_broker() if is_embedded else None
    if config.kafka_security != SECURE and (broker is None or broker.security != SECURE):
        return None
    password, ca = config.kafka_password_file, config.kafka_ca_file
    if is_embedded:  # the broker has written its files there
        password, ca = credentials() / f"{config.kafka_user}.password", credentials() / "ca.pem"
    if password is None or ca is None:
        raise UsageError(
            "kafka_security is sasl_ssl, but the password file or the CA file is not named.",
            "Set LAKE_KAFKA_PASSWORD_FILE and LAKE_KAFKA_CA_FILE.",
        )
    return Login(config.kafka_user, "PLAIN" if is_embedded else config.kafka_mechanism, password, ca)


def security() -> dict[str, str]:
    """The options of confluent-kafka for the login; the client keeps the password in memory only."""
    if (user_login := login()) is None:
        return {}
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": user_login.mechanism,
        "sasl.username": user_login.user,
        "sasl.password": user_login.password(),
        "ssl.ca.location": str(user_login.ca),
    }


def producer(bootstrap_servers: str, options: Mapping[str, Any]) -> "Producer":
    """A producer that neither loses nor doubles an acknowledged message, with these options besides."""
    from confluent_kafka import Producer

    safe = {"bootstrap.servers": bootstrap_servers, "acks": "all", "enable.idempotence": True, "log_level": 0}
    return Producer({**safe, **security(), **options})


def assigned_consumer(bootstrap_servers: str, name: str, options: Mapping[str, Any] | None = None) -> "Consumer":
    """A consumer for partitions that are assigned to it: it joins no group, commits nothing, reports partition ends."""
    from confluent_kafka import Consumer

    quiet: dict[str, Any] = {
        "bootstrap.servers": bootstrap_servers,
        "group.id": name,  # the client asks for one; with assign and no commits it never gets to the broker
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",  # where retention has already deleted the offset asked for
        "log_level": 0,
    }
    return Consumer({**quiet, **security(), **(options or {})})


def spark_options() -> dict[str, str]:
    """The options of Spark's Kafka source for the login.

    Options appear in plans and logs, so they name a file of mode 600 that Kafka's own client reads.
    """
    if (user_login := login()) is None:
        return {}
    file = settings().run / "kafka-login.properties"
    files.write_private(file, f"jaas={in_properties(jaas(user_login))}\n")
    return {
        "kafka.security.protocol": "SASL_SSL",
        "kafka.sasl.mechanism": user_login.mechanism,
        "kafka.ssl.truststore.type": "PEM",
        "kafka.ssl.truststore.location": str(user_login.ca),
        "kafka.config.providers": "file",
        "kafka.config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
        "kafka.sasl.jaas.config": f"${{file:{file}:jaas}}",
    }


def jaas(of: Login, users: bool = False) -> str:
    """The login as Kafka's Java code reads it; `users`: for a broker that accepts this user."""
    kind = "plain.Plain" if of.mechanism == "PLAIN" else "scram.Scram"
    password = of.password().replace("\\", "\\\\").replace('"', '\\"')
    more = f' user_{of.user}="{password}"' if users else ""
    return (
        f'org.apache.kafka.common.security.{kind}LoginModule required username="{of.user}" password="{password}"{more};'
    )


def in_properties(value: str) -> str:
    """A value as Java's properties files write it: in ASCII, the rest as UTF-16; a leading blank is kept."""
    escaped = value.replace("\\", "\\\\")
    units = escaped.encode("utf-16-be")
    codes = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    text = "".join(chr(code) if 0x20 <= code < 0x7F else f"\\u{code:04x}" for code in codes)
    return f"\\{text}" if text.startswith(" ") else text


def no_answer(bootstrap_servers: str, errors: Iterable["KafkaError"], waited: float) -> UnavailableError:
    """The error for a broker that does not answer, with the cause that the client's errors show."""
    from confluent_kafka import KafkaError

    codes = {error.code(): error.str() for error in errors}
    user_login = login()
    if user_login and KafkaError._AUTHENTICATION in codes:
        return UnavailableError(
            f"Kafka at {bootstrap_servers} refused the login of user {user_login.user!r}.",
            f"Check LAKE_KAFKA_USER and the password in {user_login.password_file}.",
        )
    if user_login and (KafkaError._SSL in codes or _speaks_tls(bootstrap_servers) is False):
        return UnavailableError(
            f"Kafka at {bootstrap_servers} does not use TLS with a certificate signed by {user_login.ca}.",
            "Check LAKE_KAFKA_CA_FILE and the port; a broker without TLS needs LAKE_KAFKA_SECURITY=plaintext.",
        )
    if user_login is None and _speaks_tls(bootstrap_servers):
        return UnavailableError(
            f"Kafka at {bootstrap_servers} requires TLS and a login.",
            "Set LAKE_KAFKA_SECURITY=sasl_ssl, LAKE_KAFKA_USER, LAKE_KAFKA_PASSWORD_FILE and LAKE_KAFKA_CA_FILE.",
        )
    return UnavailableError(
        f"No Kafka broker answers at {bootstrap_servers} (waited {waited:.0f} s).",
        "Start one with `lake up`, or give the right address with --bootstrap-server or LAKE_BOOTSTRAP_SERVERS.",
    )


def _speaks_tls(bootstrap_servers: str) -> bool | None:
    """Whether the first of the addresses answers by TLS; None when nothing listens there."""
    host, _, port = bootstrap_servers.split(",", maxsplit=1)[0].rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent
    try:
        plain = socket.create_connection((host, int(port)), 2)
    except (OSError, ValueError):
        return None
    try:
        with plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False
