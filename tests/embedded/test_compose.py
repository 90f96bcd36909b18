"""docker-compose.yml against what exists; there is no engine here to run it."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import Settings
from dashboard.settings import Settings as DashboardSettings
from embedded.stack import API_MALLOC
from worker.start import WORK

OWN = {"migrate", "api", "reconciler", "worker-cpu", "worker-train"}


@pytest.fixture
def compose(repository_root: Path) -> dict[str, Any]:
    return yaml.safe_load((repository_root / "docker-compose.yml").read_text())["services"]


def test_every_variable_is_a_setting(compose: dict[str, Any]) -> None:
    for name in OWN:
        for variable in compose[name]["environment"]:
            assert variable in API_MALLOC or variable.removeprefix("TUNESMITH_").lower() in Settings.model_fields
    assert API_MALLOC.items() <= compose["api"]["environment"].items()
    for variable in compose["dashboard"]["environment"]:
        assert variable.removeprefix("TUNESMITH_DASHBOARD_").lower() in DashboardSettings.model_fields


def test_every_setting_is_documented(repository_root: Path) -> None:
    text = (repository_root / "docs" / "deployment.md").read_text()
    documented = {name.lower() for name in re.findall(r"`TUNESMITH_([A-Z0-9_]+)`", text)}
    of_dashboard = {f"dashboard_{name}" for name in DashboardSettings.model_fields}
    assert documented == set(Settings.model_fields) | of_dashboard


def test_commands_name_modules_and_queues_that_exist(compose: dict[str, Any]) -> None:
    assert set(compose) == OWN | {"dashboard", "postgres", "valkey", "seaweedfs"}
    commands = {name: compose[name]["command"] for name in OWN | {"dashboard"}}
    for module in re.findall(r"(?:-m|-A|uvicorn) ([a-z.]+)", " ".join(commands.values())):
        assert importlib.util.find_spec(module), module
    queues = [queue for command in commands.values() for queue in re.findall(r"-Q (\w+)", command)]
    assert sorted(queues) == sorted(WORK)


def test_images_are_pinned_and_services_are_waited_for(compose: dict[str, Any]) -> None:
    images = [service["image"] for service in compose.values() if "image" in service]
    assert images == ["postgres:18", "valkey/valkey:9", "chrislusf/seaweedfs:4.48"]
    assert all("healthcheck" in compose[name] for name in ("postgres", "valkey", "seaweedfs", "api"))
    for name in OWN - {"migrate"}:
        assert compose[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}


def test_the_health_check_asks_a_route_that_exists(compose: dict[str, Any], settings: Settings) -> None:
    from api.main import create_app

    paths = re.findall(r"127\.0\.0\.1:8000(/\w+)", str(compose["api"]["healthcheck"]))
    assert paths
    assert set(paths) <= set(create_app(settings).openapi()["paths"])


def test_no_health_check_puts_a_secret_on_a_command_line(compose: dict[str, Any]) -> None:
    checks = {name: str(service["healthcheck"]) for name, service in compose.items() if "healthcheck" in service}
    assert "PASSWORD" in checks["valkey"]
    for check in checks.values():  # a variable before the program is its environment, one after it an argument
        assert "PASSWORD" not in re.sub(r"REDISCLI_AUTH=\S+ ", "", check)


def test_nothing_is_open_to_the_network_and_no_secret_has_a_default(repository_root: Path) -> None:
    text = (repository_root / "docker-compose.yml").read_text()
    assert re.findall(r'ports: \["(?!127\.0\.0\.1:)', text) == []
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|KEY)\w*)([^}]*)\}", text)
    assert secrets
    assert {rule for _, rule in secrets} == {":?"}
