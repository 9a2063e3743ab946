"""The Kafka tool without a broker: its settings, its ports, and its errors for missing programs."""

import re
import socket
from pathlib import Path

import pytest
from journeyman.deploy import kafka
from journeyman.deploy.kafka import KafkaClusterError, KafkaUnavailable, require_kafka
from journeyman.deploy.kafka.ports import FREE_FIRST, FREE_LAST, check_free, free_nodes
from journeyman.deploy.kafka.settings import COMMON, fixed_nodes, properties_text, replication, server_properties

COMPOSE = Path(kafka.__file__).with_name("compose.yaml")


def program(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on its PATH but what the test puts there, and an empty cache."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return programs


def test_fixed_ports_are_a_hundred_apart_with_controller_above() -> None:
    assert [(node.port, node.controller_port) for node in fixed_nodes(1)] == [(9092, 9093)]
    assert [(node.port, node.controller_port) for node in fixed_nodes(3)] == [(9092, 9093), (9192, 9193), (9292, 9293)]


@pytest.mark.parametrize("nodes", [0, 2, 4])
def test_other_cluster_sizes_are_refused(nodes: int) -> None:
    with pytest.raises(KafkaClusterError, match="expected 1 or 3 brokers"):
        fixed_nodes(nodes)


def test_port_without_room_for_the_others_is_refused() -> None:
    with pytest.raises(KafkaClusterError, match="room up to 65535"):
        fixed_nodes(3, 65400)


def test_free_ports_differ_and_are_outside_the_ephemeral_range() -> None:
    ports = [port for node in free_nodes(3) for port in (node.port, node.controller_port)]
    assert len(set(ports)) == 6
    assert all(FREE_FIRST <= port < FREE_LAST for port in ports)


def test_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        with pytest.raises(KafkaClusterError, match=f"port {port}"):
            check_free(fixed_nodes(1, port))


def test_node_knows_all_voters_and_its_own_addresses(tmp_path: Path) -> None:
    nodes = fixed_nodes(3)
    settings = server_properties(nodes[1], nodes, tmp_path)
    assert settings["node.id"] == "2"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9192"
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:9093,2@127.0.0.1:9193,3@127.0.0.1:9293"
    assert settings["default.replication.factor"] == "3"
    assert settings["transaction.state.log.min.isr"] == "2"


def test_directory_that_kafka_would_split_is_refused() -> None:
    nodes = fixed_nodes(1)
    with pytest.raises(KafkaClusterError, match="commas"):
        server_properties(nodes[0], nodes, Path("/one,two"))


def test_properties_are_ascii_as_java_reads_them() -> None:
    assert properties_text({"log.dirs": "/tür/a\\b/𝄞"}) == "log.dirs=/t\\u00fcr/a\\\\b/\\ud834\\udd1e\n"


def test_compose_has_the_same_settings_and_version() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    found = dict(re.findall(r'^ +KAFKA_(\w+): "?([^"\n]+)"?$', text, re.MULTILINE))
    expected = {key.replace(".", "_").upper(): value for key, value in {**COMMON, **replication(1)}.items()}
    assert {key: found.get(key) for key in expected} == expected
    assert f"image: apache/kafka:{kafka.KAFKA_VERSION}\n" in text


def test_missing_java_error_says_how_to_get_it(bare_machine: Path) -> None:
    with pytest.raises(KafkaUnavailable, match=r"no java on the PATH: install a JRE 17 or newer"):
        require_kafka()


def test_wrong_java_home_is_named(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(bare_machine / "nowhere"))
    with pytest.raises(KafkaUnavailable, match=r"no java in JAVA_HOME \(.*nowhere\)"):
        require_kafka()


@pytest.mark.parametrize(("answer", "named"), [("11.0.2", "Java 11"), ("1.8.0_402", "Java 8")])
def test_old_java_is_refused_with_its_version(bare_machine: Path, answer: str, named: str) -> None:
    program(bare_machine, "java", f"echo 'openjdk version \"{answer}\" 2019-01-15' >&2")
    with pytest.raises(KafkaUnavailable, match=f"needs Java 17 and .*java is {named}: install"):
        require_kafka()


def test_missing_maven_error_says_how_to_get_it(bare_machine: Path) -> None:
    program(bare_machine, "java", "echo 'openjdk version \"21.0.1\" 2023-10-17' >&2")
    with pytest.raises(KafkaUnavailable, match=r"no mvn on the PATH: install it"):
        require_kafka()


def test_failing_maven_leaves_no_half_filled_cache(bare_machine: Path, tmp_path: Path) -> None:
    program(bare_machine, "java", "echo 'openjdk version \"21.0.1\" 2023-10-17' >&2")
    program(bare_machine, "mvn", "echo '[ERROR] Could not transfer artifact'; exit 1")
    with pytest.raises(KafkaUnavailable, match=r"\(Could not transfer artifact\): it needs access to Maven Central"):
        require_kafka()
    assert [path.name for path in (tmp_path / "cache/journeyman/kafka").iterdir()] == ["fetch.lock"]
