"""`tunesmith-server` as its users know it: commands, files, processes."""

import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
import pytest
import redis
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from embedded.ports import free_ports
from embedded.process import LOG_BYTES, Child, append
from embedded.services import Services, remove_stale_pid_file
from embedded.stack import Addresses, _supervise, choose_port
from tests.stack import eventually

pytestmark = pytest.mark.chaos


def server(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command with no other TUNESMITH_ variable than those settings."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("TUNESMITH_")} | settings
    command = [sys.executable, "-m", "embedded", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=200, check=False)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    server("down", "--data-dir", str(folder))


def state(data_dir: Path) -> dict[str, Any]:
    return json.loads((data_dir / "state.json").read_text())


def env(data_dir: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in (data_dir / "env").read_text().splitlines())


def family(data_dir: Path) -> list[psutil.Process]:
    root = psutil.Process(state(data_dir)["pid"])
    return [root, *root.children(recursive=True)]


def get(data_dir: Path, path: str) -> httpx.Response:
    known = env(data_dir)
    url = f"{known['TUNESMITH_BASE_URL']}{path}"
    return httpx.get(url, headers={"authorization": f"Bearer {known['TUNESMITH_API_KEY']}"}, timeout=10)


def test_up_kill_9_of_everything_up_and_down(data_dir: Path) -> None:
    up = ("up", "--detach", "--data-dir", str(data_dir), "--port", "18000")
    first = server(*up)
    assert first.returncode == 0, first.stdout + first.stderr
    for name in ("env", "secrets.json", "state.json"):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600
    for name in ("logs", "postgres", "seaweedfs", "valkey", "work"):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o700
    known = env(data_dir)
    key = {"authorization": f"Bearer {known['TUNESMITH_API_KEY']}"}
    row = b'{"prompt": "a", "completion": "b"}\n'
    form: dict[str, Any] = {"data": {"purpose": "fine-tune"}, "files": {"file": ("a.jsonl", row)}}
    made = httpx.post(f"{known['TUNESMITH_BASE_URL']}/files", headers=key, timeout=30, **form).json()

    before = state(data_dir)
    again = server(*up)
    assert (again.returncode, "already up" in again.stdout) == (0, True)
    assert state(data_dir) == before
    assert server("status", "--data-dir", str(data_dir)).returncode == 0

    killed = family(data_dir)
    for process in killed:
        with suppress(psutil.NoSuchProcess):  # the kernel ends the children of a killed supervisor
            process.kill()
    eventually(lambda: not any(alive(p) for p in killed), seconds=20, what="the end of everything")
    assert server("status", "--data-dir", str(data_dir)).returncode == 3

    second = server(*up)
    assert second.returncode == 0, second.stdout + second.stderr
    assert env(data_dir) == known
    assert get(data_dir, f"/files/{made['id']}/content").content == row
    processed = lambda: get(data_dir, f"/files/{made['id']}").json()["status"] == "processed"  # noqa: E731
    eventually(processed, seconds=60, what="validation by the recovered worker")

    running = family(data_dir)
    assert server("down", "--data-dir", str(data_dir)).returncode == 0
    assert not any(alive(process) for process in running)


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_down_ends_a_stack_that_is_still_starting(data_dir: Path) -> None:
    command = [sys.executable, "-m", "embedded", "up", "--data-dir", str(data_dir), "--port", "18300"]
    env = {key: value for key, value in os.environ.items() if not key.startswith("TUNESMITH_")}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as starting:
        eventually((data_dir / "state.json").exists, seconds=30, what="a stack that starts")
        assert not state(data_dir)["ready"]
        done = server("down", "--data-dir", str(data_dir))
        assert (done.returncode, done.stdout.startswith("down")) == (0, True), done.stdout
        assert starting.wait(10) == 0
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(data_dir) in " ".join(p.info["cmdline"] or [])]


def test_the_port_that_is_asked_for_wins_over_that_of_the_last_time(tmp_path: Path) -> None:
    first, second = free_ports(2)
    assert choose_port(tmp_path, "port", default=8000, wanted=first) == first
    assert choose_port(tmp_path, "port", default=8000, wanted=None) == first
    assert choose_port(tmp_path, "port", default=8000, wanted=second) == second
    with socket.create_server(("127.0.0.1", first)):
        assert (
            choose_port(tmp_path, "port", default=8000, wanted=first) == second
        )  # what clients know is better than any other


def test_the_pid_file_of_a_living_postgres_stays(tmp_path: Path) -> None:
    path = tmp_path / "postmaster.pid"
    with subprocess.Popen([sys.executable, "-c", "input()", "-D", str(tmp_path)], stdin=subprocess.PIPE) as living:
        path.write_text(f"{living.pid}\n{tmp_path}\n")
        remove_stale_pid_file(path)
        assert path.exists()
        living.communicate(b"\n")
    remove_stale_pid_file(path)
    assert not path.exists()
    path.write_text(f"{os.getpid()}\n")  # the pid is another program's by now
    remove_stale_pid_file(path)
    assert not path.exists()


def test_a_dead_child_is_started_again(data_dir: Path) -> None:
    assert server("up", "--detach", "--data-dir", str(data_dir), "--port", "18100").returncode == 0
    api = state(data_dir)["children"]["api"]["pid"]
    psutil.Process(api).kill()
    restarted = lambda: state(data_dir)["children"].get("api", {}).get("restarts") == 1  # noqa: E731
    eventually(restarted, seconds=20, what="the API's restart")

    def answers() -> bool:
        try:
            return get(data_dir, "/models").status_code == 200
        except httpx.HTTPError:
            return False

    eventually(answers, seconds=30, what="the restarted API")


def test_what_goes_on_dying_is_started_ever_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    child = Child(name="dying", command=["false"], logs=tmp_path)
    stop = threading.Event()

    def supervise() -> None:
        child.start()
        _supervise(tmp_path, [child], at=Addresses(1, 2), stop=stop)

    supervisor = threading.Thread(target=supervise)
    supervisor.start()
    pauses = lambda: re.findall(r"dying has died; it starts again in (\d+) s", caplog.text)  # noqa: E731
    eventually(lambda: len(pauses()) == 3, seconds=20, what="three ends")
    stop.set()
    supervisor.join()
    assert pauses() == ["1", "2", "4"]


def test_services_ask_for_secrets_and_listen_on_loopback_only(services: Services) -> None:
    port = int(services.env["TUNESMITH_REDIS_URL"].rpartition(":")[2].partition("/")[0])
    with pytest.raises(redis.AuthenticationError), redis.Redis(port=port) as anonymous:
        anonymous.ping()
    url = services.env["TUNESMITH_S3_ENDPOINT_URL"]
    anonymous = boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=Config(signature_version=UNSIGNED))
    with pytest.raises(ClientError, match="AccessDenied"):
        anonymous.list_objects_v2(Bucket="tunesmith")
    for child in services.children:
        root = psutil.Process(child.pid)
        for process in (root, *root.children(recursive=True)):
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip in ("127.0.0.1", "::1"), (child.name, connection)


OURS = {"api", "dashboard", "reconciler", "worker-cpu", "worker-train"}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("TUNESMITH_", set[str]()),
        ("TUNESMITH_DATABASE", {"valkey", "seaweedfs"}),
        ("TUNESMITH_REDIS", {"postgres", "seaweedfs"}),
        ("TUNESMITH_S3", {"postgres", "valkey"}),
    ],
)
def test_services_of_the_environment_are_used_instead_of_ours(
    data_dir: Path, services: Services, given: str, left: set[str]
) -> None:
    variables = {name: value for name, value in services.env.items() if name.startswith(given)}
    done = server("up", "--detach", "--data-dir", str(data_dir), "--port", "18200", **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert state(data_dir)["children"].keys() == OURS | left
    ready = httpx.get(f"{state(data_dir)['url']}/readyz", timeout=10)
    assert (ready.status_code, get(data_dir, "/models").status_code) == (200, 200)
    assert httpx.get(f"{env(data_dir)['TUNESMITH_DASHBOARD_URL']}/login", timeout=10).status_code == 200
    told = psutil.Process(state(data_dir)["children"]["dashboard"]["pid"]).environ()
    assert {name for name in told if name.startswith("TUNESMITH_")} == {
        f"TUNESMITH_DASHBOARD_{name}" for name in ("API_URL", "HOST", "PORT")
    }  # none of the server's secrets


def test_who_writes_to_a_log_on_a_full_disk_does_not_wait(tmp_path: Path) -> None:
    (tmp_path / "noisy.log").symlink_to("/dev/full")
    lines = "for _ in range(20_000): print('x' * 80)"  # more than a pipe holds
    child = Child(name="noisy", command=[sys.executable, "-c", lines], logs=tmp_path)
    child.start()
    assert child.process is not None
    assert child.process.wait(30) == 0


def test_a_long_log_begins_anew(tmp_path: Path) -> None:
    log, piece = tmp_path / "a.log", b"x" * (LOG_BYTES // 4)
    for _ in range(20):
        append(log, piece)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"a.log", "a.log.1"}
    assert max(sizes.values()) <= 1.5 * LOG_BYTES
