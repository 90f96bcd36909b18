"""What operators do by hand: projects, and what `up` refuses before it starts anything."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.access.service import authenticate
from core.db import session_scope
from core.errors import NotAuthenticated
from core.settings import Settings
from tests.conftest import ProjectKey
from tests.embedded.test_stack import server


def test_projects_are_made_listed_and_limited(
    engine: Engine, settings: Settings, make_project: Callable[[str], ProjectKey]
) -> None:
    def projects(*arguments: str) -> str:
        done = server("projects", *arguments, TUNESMITH_DATABASE_URL=settings.database_url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = make_project("first")
    made = projects("create", "second")
    assert made.split(maxsplit=2)[1:] == ["second", "3000 requests a minute (default)\n"]
    assert projects("create", "second") == made
    assert "7 requests a minute\n" in projects("set", "first", "--rate-limit-per-minute", "7")
    with session_scope(engine) as session:
        assert authenticate(session, key=first.key).rate_limit_per_minute == 7
    listed = [line.split(maxsplit=2) for line in projects("list").splitlines()]
    assert listed == [
        [first.project_id, "first", "7 requests a minute"],
        [made.split()[0], "second", "3000 requests a minute (default)"],
    ]
    assert "any number of requests" in projects("set", "first", "--rate-limit-per-minute", "0")
    assert "(default)" in projects("set", "first", "--rate-limit-per-minute", "default")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("set", "none", "--rate-limit-per-minute", "7"), 1, "there is no project 'none'; there are: default"),
        (("set", "default", "--rate-limit-per-minute", "-1"), 2, "given '-1'"),
        (("set", "default", "--rate-limit-per-minute", "many"), 2, "given 'many'"),
        (("set", "default"), 2, "--rate-limit-per-minute"),
        (("create", ""), 2, "1 to 64 characters"),
        (("create", "a\nb"), 2, "1 to 64 characters"),
        (("create", "x" * 65), 2, "1 to 64 characters"),
    ],
)
def test_what_projects_refuses(
    project: ProjectKey, settings: Settings, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = server("projects", *arguments, TUNESMITH_DATABASE_URL=settings.database_url, COLUMNS="200")
    assert (done.returncode, words in done.stderr) == (status, True), done.stderr


def test_without_a_stack_there_are_no_projects(tmp_path: Path) -> None:
    done = server("projects", "list", "--data-dir", str(tmp_path), COLUMNS="200")
    assert (done.returncode, "TUNESMITH_DATABASE_URL is not set" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ({"TUNESMITH_MODEL_ALIASES": "gpt=unknown"}, (), "alias gpt: the catalogue has no model unknown"),
        ({"TUNESMITH_MODEL_ALIASES": "gpt=unknown"}, ("--detach",), "alias gpt: the catalogue has no model unknown"),
        ({"TUNESMITH_MODEL_ALIASES": "gpt"}, (), "TUNESMITH_MODEL_ALIASES: Value error, write alias=model"),
        ({"TUNESMITH_CATALOGUE": "/nowhere.yaml"}, (), "/nowhere.yaml"),
    ],
)
def test_up_refuses_wrong_settings_before_anything_starts(
    tmp_path: Path, settings: dict[str, str], options: tuple[str, ...], words: str
) -> None:
    done = server("up", *options, "--data-dir", str(tmp_path / "data"), **settings)
    assert (done.returncode, words in done.stderr) == (1, True), done.stderr
    assert done.stderr.startswith("nothing was started: ")
    assert not (tmp_path / "data").exists()


def test_keys_are_listed_and_revoked(
    engine: Engine, settings: Settings, make_project: Callable[[str], ProjectKey]
) -> None:
    def keys(*arguments: str, status: int = 0) -> str:
        done = server("keys", *arguments, TUNESMITH_DATABASE_URL=settings.database_url)
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr

    project = make_project("first")
    other = keys("create", "--project", "first", "--name", "a laptop").strip()
    with session_scope(engine) as session:
        leaked = authenticate(session, key=other)
    shown = keys("list")
    assert shown.splitlines()[0].split(maxsplit=3) == [leaked.key_id, f"…{other[-4:]}", "first", "a laptop"]
    assert other not in shown
    assert keys("revoke", leaked.key_id) == f"{leaked.key_id} is revoked\n"
    with session_scope(engine) as session:
        with pytest.raises(NotAuthenticated):
            authenticate(session, key=other)
        assert authenticate(session, key=project.key).key_id == project.owner.key_id
    assert leaked.key_id not in keys("list")
    assert "revoked already" in keys("revoke", leaked.key_id, status=1)
