"""The files of `deploy/`, checked without an engine: commands, ports, probes, images, keys, units."""

import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from journeyman.journal.url import log_from_url
from journeyman.service.keys import Keyring, Scope
from journeyman.service.limits import DRAIN_SECONDS
from journeyman.tasks.limits import DRAIN_SECONDS_DEFAULT, LEASE_MS_DEFAULT
from support.deployment import COMMANDS, COMPOSE, DEPLOY, ROOT, UNITS, Command, is_command, of_kind, option, port_of
from support.service import service_here


def test_every_kind_of_deployment_has_commands() -> None:
    assert {command.place.partition(" ")[0] for command in COMMANDS} == {"compose", "kubernetes", "systemd"}
    assert {command.arguments[0] for command in COMMANDS} == {"serve", "worker", "scheduler"}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.place)
def test_command_and_its_options_exist(command: Command) -> None:
    arguments = command.arguments
    assert is_command(arguments)
    if arguments[0] == "serve":
        assert command.patience > float(option(arguments, "--drain") or DRAIN_SECONDS)
        is_local = option(arguments, "--host") in {None, "127.0.0.1"}
        assert is_local or option(arguments, "--keys"), "others reach it, so it needs keys"
    if arguments[0] == "worker":
        drain = float(option(arguments, "--drain-timeout") or DRAIN_SECONDS_DEFAULT)
        assert command.patience > drain + LEASE_MS_DEFAULT / 1_000
    assert all(port == port_of(arguments) for port in command.ports)


def test_unknown_option_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert not is_command(["serve", "--no-such-option"])
    assert "--no-such-option" in capsys.readouterr().err


def test_journal_urls_are_valid() -> None:
    urls = {service["environment"]["JOURNEYMAN_JOURNAL"] for service in _own_services().values()}
    for deployment in of_kind("Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        urls |= {variable["value"] for variable in container["env"]}
    urls |= set(re.findall(r"^# JOURNEYMAN_JOURNAL=(.*)$", "\n".join(UNITS.values()), re.MULTILINE))
    assert len(urls) == 3
    for url in urls:
        log_from_url(url)


# -- images, compose ---------------------------------------------------------------------------------------------------


def _own_services() -> dict[str, Any]:
    return {name: each for name, each in COMPOSE["services"].items() if each["image"].startswith("journeyman")}


def test_images_are_pinned_to_a_version() -> None:
    images = [service["image"] for service in COMPOSE["services"].values()]
    images += re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    images += [
        container["image"]
        for deployment in of_kind("Deployment")
        for container in deployment["spec"]["template"]["spec"]["containers"]
    ]
    assert len(images) > 8
    unpinned = [image for image in images if not re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+(-[\w.-]+)?", image)]
    assert not unpinned, f"expected NAME:MAJOR.MINOR.PATCH: {unpinned}"


def test_dockerfile_installs_extras_that_exist() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    (wanted,) = re.findall(r"'\.\[([\w,]+)\]'", text)
    extras = re.findall(r"^(\w+) = \[$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert set(wanted.split(",")) < set(extras)
    assert "VOLUME" not in text, "each container would leave a nameless volume behind"
    assert {"USER 10001:10001", 'ENTRYPOINT ["journeyman"]', "EXPOSE 8080 8081"} <= set(text.splitlines())


def test_compose_has_a_cluster_that_loses_nothing() -> None:
    brokers = {name: each for name, each in COMPOSE["services"].items() if name.startswith("kafka-")}
    assert len(brokers) == 3
    for number, (name, broker) in enumerate(sorted(brokers.items()), 1):
        said = broker["environment"]
        assert (said["KAFKA_NODE_ID"], said["KAFKA_MIN_INSYNC_REPLICAS"]) == (str(number), "2")
        assert said["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"] == said["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
        assert f"{number}@{name}:9093" in said["KAFKA_CONTROLLER_QUORUM_VOTERS"]
        assert said["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{name}:9092"
        assert broker["volumes"] == [f"{name}:/var/lib/kafka/data"]
    assert len({name for name in _own_services() if name.startswith("service-")}) == 2


def test_compose_publishes_on_loopback_and_mounts_what_exists() -> None:
    for name, service in COMPOSE["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys(), name
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            known = (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
            assert known, f"{name}: {volume}"


def test_probe_of_compose_finds_a_service_well(tmp_path: Path) -> None:
    probe = COMPOSE["services"]["service-1"]["healthcheck"]["test"][2:]
    assert "127.0.0.1:8080/healthz" in probe[1]
    with service_here(f"sqlite:///{tmp_path}/shop.db") as address:
        asked = [argument.replace("http://127.0.0.1:8080", address) for argument in probe]
        assert subprocess.run([sys.executable, *asked], timeout=60, check=False).returncode == 0
    assert subprocess.run([sys.executable, *asked], timeout=60, check=False, stderr=subprocess.PIPE).returncode == 1


def test_commands_of_the_readme_make_the_keys(tmp_path: Path) -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", (DEPLOY / "README.md").read_text(), re.DOTALL)
    (tmp_path / "deploy").mkdir()
    subprocess.run(["bash", "-euc", f"umask 077\n{block}"], cwd=tmp_path, check=True, timeout=30)
    secrets = tmp_path / "deploy" / "secrets"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o644}, "users of containers read them"
    assert {f"./secrets/{path.name}" for path in secrets.iterdir()} >= {
        secret["file"] for secret in COMPOSE["secrets"].values()
    }
    keyring = Keyring(file=secrets / "keys")
    caller = keyring.caller((secrets / "prometheus").read_text().strip())
    assert caller is not None
    assert caller.may(Scope.READ)
    assert not caller.may(Scope.SUBMIT)


def test_other_commands_of_the_readme_exist() -> None:
    lines = re.findall(r"exec worker journeyman (.*)$", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    assert len(lines) == 2
    assert all(is_command(shlex.split(line)) for line in lines)


# -- systemd -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNITS)
def test_unit_is_valid_for_systemd(name: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here")
    unit = tmp_path / f"{name.replace('@', '@1')}.service"
    text = UNITS[name].replace("User=shop\n", "").replace("/opt/shop/.venv/bin/journeyman", sys.executable)
    text = re.sub("^EnvironmentFile=.*\n", "", text, flags=re.MULTILINE)
    unit.write_text(text.replace("WorkingDirectory=/opt/shop", f"WorkingDirectory={tmp_path}"))
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, unit.name in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("name", UNITS)
def test_each_unit_makes_the_directory_it_writes_to(name: str) -> None:
    settings = dict(re.findall(r"^(\w+)=(.*)$", UNITS[name], re.MULTILINE))
    # A path of ReadWritePaths that does not exist is a failure to start (226/NAMESPACE).
    assert settings["ReadWritePaths"] == f"/var/lib/{settings['StateDirectory']}"


# -- Kubernetes --------------------------------------------------------------------------------------------------------


def test_probes_and_monitors_name_ports_of_their_containers() -> None:
    pods: dict[str, set[str]] = {}
    for deployment in of_kind("Deployment"):
        template = deployment["spec"]["template"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        (container,) = template["spec"]["containers"]
        names = {port["name"] for port in container.get("ports", ())}
        pods[template["metadata"]["labels"]["app"]] = names
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in container:
                assert container[probe]["httpGet"]["port"] in names
                assert container[probe]["httpGet"]["path"] in {"/", "/healthz", "/readyz"}
    for monitor in of_kind("PodMonitor"):
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] in pods[monitor["spec"]["selector"]["matchLabels"]["app"]]
    for service in of_kind("Service"):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= pods[service["spec"]["selector"]["app"]]


def test_every_replicated_deployment_has_a_disruption_budget() -> None:
    replicated = {each["metadata"]["name"] for each in of_kind("Deployment") if each["spec"]["replicas"] > 1}
    budgets = {each["spec"]["selector"]["matchLabels"]["app"] for each in of_kind("PodDisruptionBudget")}
    assert budgets == replicated == {"journeyman-service", "shop-worker"}


def test_scaled_workers_leave_the_schedules_to_a_scheduler() -> None:
    (scaled,) = of_kind("ScaledObject")
    (workers,) = [
        each for each in of_kind("Deployment") if each["metadata"]["name"] == scaled["spec"]["scaleTargetRef"]["name"]
    ]
    assert "--no-schedules" in workers["spec"]["template"]["spec"]["containers"][0]["args"]
    assert any("scheduler" in each["metadata"]["name"] for each in of_kind("Deployment"))
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["ignoreNullValues"] == "false", "nothing is no zero"
    assert scaled["spec"]["fallback"]["replicas"] > 0
