"""The embedded broker: the real Kafka in KRaft mode, on loopback, under var/kafka."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO

from lakehouse.contract.discovery import load_all
from lakehouse.core import run_state
from lakehouse.core.files import write_private
from lakehouse.core.net import free_port
from lakehouse.errors import LakeError, UnavailableError
from lakehouse.kafka import client, topics
from lakehouse.kafka.topic_differences import WEEK
from lakehouse.settings import BrokerAddress, settings
from lakehouse.spark import jars, java

_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={protocol}://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={protocol}://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.retention.ms={week}
log.retention.bytes={retention}
log.segment.bytes={segment}
"""
_GIGA = 1_000_000_000
_LEAST, _LARGEST = 64_000_000, 1_073_741_824  # bytes: the least a partition keeps; the largest segment
# Clients log in; the controller, which clients could connect to, accepts only the broker's own key.
_SECURITY = """listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:SSL
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config={jaas}
listener.name.controller.ssl.client.auth=required
ssl.keystore.type=PKCS12
ssl.keystore.location={keystore}
ssl.keystore.password={keystore_password}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
"""
_LOGGING = """status = error
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}{UTC} %p %c{1} %m%n
"""


def limit_per_partition(folder: Path) -> int:
    """The bytes that a partition keeps: kafka_limit_gb, or half of the disk, divided by the number of partitions.

    Half of the disk's size, not of its free space: when others fill the disk, Kafka must not delete unread records.
    """
    limit = settings().kafka_limit_gb
    total = shutil.disk_usage(folder).total // 2 if limit is None else int(limit * _GIGA)
    partitions = sum(topic.partitions for domain in load_all() for topic in domain.topics)
    return max(_LEAST, total // max(1, partitions))


def _certificate(keystore: Path, password: Path, ca: Path) -> None:
    """A key and its certificate for loopback, ten years valid; clients trust the certificate itself, in `ca`."""
    tool = [str(Path(java.find()).resolve().parent / "keytool"), "-keystore", str(keystore), "-storepass:file"]
    tool += [str(password), "-storetype", "PKCS12", "-alias", "broker"]
    make = ["-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-validity", "3650", "-dname", "CN=lake"]
    make += ["-ext", "SAN=ip:127.0.0.1,dns:localhost"]
    keystore.unlink(missing_ok=True)
    for step in (make, ["-exportcert", "-rfc", "-file", str(ca)]):
        done = subprocess.run([*tool, *step], capture_output=True, text=True, check=False)
        if done.returncode:
            raise LakeError(
                f"The broker's certificate could not be created: {(done.stdout + done.stderr).strip()[-300:]}."
            )
    keystore.chmod(0o600)


class Broker:
    """The embedded Kafka broker; `start` returns when it answers and its cluster id is ours."""

    def __init__(self, folder: Path | None = None, port: int | None = None) -> None:
        self.folder = folder or settings().var / "kafka"
        self.port = free_port(settings().kafka_port if port is None else port)
        self.secure = settings().kafka_security == client.SECURE
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address for clients."""
        return f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """The broker's command line; creates and formats its folder at the first start."""
        program = java.find()
        class_path = f"{jars.folder('broker')}/*"
        properties = self._configure()
        if not (self.folder / "data/meta.properties").exists():
            self._format(program, class_path, properties)
        options = [
            f"-Xmx{settings().kafka_heap}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Djava.awt.headless=true",
        ]
        options += [f"-Dlog4j2.configurationFile={(self.folder / 'log4j2.properties').absolute().as_uri()}"]
        return [program, *options, "-cp", class_path, "kafka.Kafka", str(properties)]

    def _configure(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self.folder / "server.properties"
        values: dict[str, object] = {
            "port": self.port,
            "controller": free_port(),
            "data": client.in_properties(str(self.folder / "data")),
        }
        keep = limit_per_partition(self.folder)
        values["week"] = WEEK
        values |= {"retention": keep, "segment": min(_LARGEST, keep // 4)}  # Kafka deletes whole segments only
        text = _PROPERTIES.format(**values, protocol="SASL_SSL" if self.secure else "PLAINTEXT")
        write_private(properties, text + self._security() if self.secure else text)
        (self.folder / "log4j2.properties").write_text(_LOGGING)
        return properties

    def _security(self) -> str:
        """The properties for TLS and login; creates certificate and passwords at the first start."""
        folder, login = client.credentials(), client.login()
        assert login is not None
        keystore, keystore_password = folder / "broker.p12", folder / "broker.password"
        for file in (login.password_file, keystore_password):
            if not file.exists():
                write_private(file, secrets.token_urlsafe(24))
        if not login.ca.exists():
            _certificate(keystore, keystore_password, login.ca)
        jaas = client.in_properties(client.jaas(login, users=True))
        files = {"keystore": client.in_properties(str(keystore)), "ca": client.in_properties(str(login.ca))}
        return _SECURITY.format(jaas=jaas, keystore_password=keystore_password.read_text(), **files)

    def _format(self, program: str, class_path: str, properties: Path) -> None:
        tool = [program, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", class_path, "kafka.tools.StorageTool"]
        cluster = subprocess.run([*tool, "random-uuid"], capture_output=True, text=True, check=True).stdout.split()[-1]
        done = subprocess.run(
            [*tool, "format", "-t", cluster, "-c", str(properties)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise LakeError(f"Kafka's folder {self.folder} could not be formatted: {done.stderr.strip()[-300:]}.")

    def cluster_id(self) -> str:
        """The cluster id in the broker's own folder."""
        lines = (self.folder / "data/meta.properties").read_text().splitlines()
        return next(line.split("=", 1)[1] for line in lines if line.startswith("cluster.id="))

    def ready(self) -> bool:
        """Whether a broker answers at our address and is ours. Raises UnavailableError when it is another one."""
        try:
            answered = topics.check(self.bootstrap_servers, timeout=1.0)
        except UnavailableError:
            return False
        if answered != self.cluster_id():
            raise UnavailableError(
                f"Another Kafka broker answers at {self.bootstrap_servers} (cluster {answered}).",
                "Stop it, or set LAKE_KAFKA_PORT to a free port.",
            )
        return True

    def announce(self) -> None:
        """Write down where the broker is, for other processes."""
        security = client.SECURE if self.secure else "plaintext"
        run_state.write_json(settings().broker_file, asdict(BrokerAddress(self.bootstrap_servers, security)))

    def start(self, log: IO[bytes], timeout: float = 60.0) -> None:
        """Start the broker and wait for it, for tests and benches; `lake up` supervises `command` itself."""
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, start_new_session=True)
        until = time.monotonic() + timeout
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > until:
                raise UnavailableError("The embedded Kafka broker did not start.", "See `lake logs kafka`.")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the broker and wait until it has ended."""
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
            self.process.wait(30)
