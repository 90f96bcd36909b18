"""Where the server and the key come from: arguments, the environment, a file of settings, profiles."""

import os
from pathlib import Path

import pytest
from tunesmith import Tunesmith
from tunesmith.env import load_env, parse_env
from tunesmith.errors import ConfigurationError
from tunesmith.profiles import Profile, Profiles, config_path, connection, load, save

from tests.sdk.conftest import Answer, Script
from tests.sdk.test_cli import NONE, cli

WORK = Profile("https://work.example/v1", "tsk-work")


def test_env_files() -> None:
    text = "# a comment\n\nA=1\nexport B = 'two words'\nC=\"x=y\"\n"
    assert parse_env(text) == {"A": "1", "B": "two words", "C": "x=y"}
    with pytest.raises(ConfigurationError) as caught:
        parse_env("A=1\ntsk-secret\n")
    assert str(caught.value) == "line 2 is no KEY=value"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_BASE_URL", "http://kept")
    monkeypatch.setenv("TUNESMITH_API_KEY", "")
    monkeypatch.delenv("TUNESMITH_API_KEY")
    (tmp_path / "env").write_text("TUNESMITH_BASE_URL=http://other\nTUNESMITH_API_KEY=tsk-1\n")
    load_env(tmp_path / "env")
    load_env(tmp_path / "missing")
    assert (os.environ["TUNESMITH_BASE_URL"], os.environ["TUNESMITH_API_KEY"]) == ("http://kept", "tsk-1")


def resolve(**given: str) -> tuple[str, str]:
    return connection(**{"base_url": None, "api_key": None, "profile": None, **given})


def test_profiles_are_for_their_owner_only_and_come_back_as_they_were() -> None:
    odd = Profile('https://example.org/v1?a="b"', 'quote " and \\ and ü')
    save(Profiles("work", {"work": WORK, "odd-1": odd}))
    assert config_path().stat().st_mode & 0o777 == 0o600
    assert load() == Profiles("work", {"work": WORK, "odd-1": odd})
    assert "tsk-work" not in repr(load())
    with pytest.raises(ConfigurationError, match=r"not 'a\.b'"):
        save(Profiles("work", {"a.b": WORK}))


def test_the_environment_comes_before_the_default_profile_and_an_argument_before_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save(Profiles("work", {"work": WORK, "home": Profile("http://home/v1", "tsk-home")}))
    assert resolve() == ("https://work.example/v1", "tsk-work")
    monkeypatch.setenv("TUNESMITH_PROFILE", "home")
    assert resolve() == ("http://home/v1", "tsk-home")
    monkeypatch.setenv("TUNESMITH_API_KEY", "tsk-env")
    monkeypatch.setenv("TUNESMITH_BASE_URL", "http://env/v1")
    assert resolve() == ("http://env/v1", "tsk-env")
    assert resolve(profile="work") == ("https://work.example/v1", "tsk-work")
    with pytest.raises(ConfigurationError, match="there is no profile 'x'"):
        resolve(profile="x")


def test_a_profiles_key_goes_to_no_other_server(monkeypatch: pytest.MonkeyPatch) -> None:
    save(Profiles("work", {"work": WORK}))
    monkeypatch.setenv("TUNESMITH_BASE_URL", "http://somebody.else/v1")
    with pytest.raises(ConfigurationError, match="no API key"):
        Tunesmith()
    with pytest.raises(ConfigurationError, match="no API key"):
        Tunesmith(profile="work", base_url="http://somebody.else/v1")


def test_a_broken_file_is_named_and_not_shown() -> None:
    config_path().parent.mkdir(parents=True)
    config_path().write_text('api_key = "tsk-secret\n')
    with pytest.raises(ConfigurationError) as caught:
        Tunesmith()
    assert str(caught.value) == f"{config_path()}: TOMLDecodeError"


def test_login_tries_the_key_before_it_keeps_it(script: Script) -> None:
    nothing = {"TUNESMITH_BASE_URL": "", "TUNESMITH_API_KEY": ""}
    script.say(Answer(401, {"error": {"message": "not known"}}))
    arguments = ("login", "--base-url", f"{script.url}/v1", "--api-key", "tsk-new", "--profile", "mine")
    assert cli(script, *arguments, **nothing).returncode == 4
    assert not config_path().exists()
    script.say(Answer(body=NONE))
    assert cli(script, *arguments, **nothing).returncode == 0
    assert cli(script, "models", "list", **nothing).returncode == 0
    assert script.received[-1].headers["authorization"] == "Bearer tsk-new"
    listed = cli(script, "profiles", "list", **nothing).stdout
    assert ("* mine" in listed, "tsk-new" in listed) == (True, False)
    assert cli(script, "profiles", "remove", "mine", **nothing).returncode == 0
    assert load().by_name == {}
    assert cli(script, "profiles", "use", "mine", **nothing).returncode == 2


def test_a_url_without_a_scheme_is_wrong_usage(script: Script) -> None:
    done = cli(script, "login", "--base-url", "127.0.0.1:8000/v1", "--api-key", "tsk-new")
    assert done.returncode == 2
    assert "write http://127.0.0.1:8000/v1 or https://127.0.0.1:8000/v1" in done.stderr
    assert not config_path().exists()


def test_the_default_profile_that_is_removed(script: Script) -> None:
    save(Profiles("a", {name: WORK for name in ("a", "b", "c")}))

    def remove(name: str) -> list[str]:
        return cli(script, "profiles", "remove", name).stdout.splitlines()

    assert remove("a") == ["a is forgotten", "there is no default now; choose one with tunesmith profiles use: b, c"]
    with pytest.raises(ConfigurationError, match="there is no default profile"):
        Tunesmith()
    assert cli(script, "profiles", "use", "b").returncode == 0
    assert remove("b") == ["b is forgotten", "c is the default"]
    assert resolve() == ("https://work.example/v1", "tsk-work")
    assert remove("c") == ["c is forgotten"]
    with pytest.raises(ConfigurationError, match="or run: tunesmith login"):
        Tunesmith()
