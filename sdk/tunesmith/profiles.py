"""Servers that the user has logged in to: `~/.config/tunesmith/config.toml`, which only the user may read.

default = "work"

[profiles.work]
base_url = "https://tunesmith.example.org/v1"
api_key = "tsk-…"
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from tunesmith.errors import ConfigurationError

# By name: where type checkers run, one of the two is not installed.
tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
DEFAULT_BASE_URL = "http://127.0.0.1:8000/v1"
DEFAULT_NAME = "default"
SCHEMES = ("http://", "https://")
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Profile:
    base_url: str
    api_key: str = field(repr=False)


@dataclass
class Profiles:
    """`default` names the profile that is used when none is asked for."""

    default: str = DEFAULT_NAME
    by_name: dict[str, Profile] = field(default_factory=dict[str, Profile])


def config_path() -> Path:
    """$XDG_CONFIG_HOME/tunesmith/config.toml; ~/.config where that is not set."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "tunesmith" / "config.toml"


def load() -> Profiles:
    """All profiles; none where there is no file.

    Raises:
        ConfigurationError: the file cannot be read or understood. The message shows none of its content.
    """
    path = config_path()
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {type(error).__name__}") from None
    by_name: dict[str, Profile] = {}
    profiles = table.get("profiles", {})
    for name, values in cast("dict[str, Any]", profiles if isinstance(profiles, dict) else {}).items():
        base_url, api_key = (
            cast("dict[str, Any]", values).get(key) if isinstance(values, dict) else None
            for key in ("base_url", "api_key")
        )
        if not (isinstance(base_url, str) and isinstance(api_key, str)):
            raise ConfigurationError(f"{path}: profile {name!r} needs base_url and api_key")
        by_name[name] = Profile(base_url, api_key)
    return Profiles(str(table.get("default", DEFAULT_NAME)), by_name)


def save(profiles: Profiles) -> None:
    """Write all profiles, in one step, for nobody else to read.

    Raises:
        ConfigurationError: a profile's name has other characters than letters, digits, `-` and `_`.
        OSError: it cannot be written.
    """
    lines = [f"default = {_quoted(profiles.default)}"]
    for name, profile in profiles.by_name.items():
        if not NAME.fullmatch(name):
            raise ConfigurationError(f"a profile's name is made of letters, digits, - and _, not {name!r}")
        lines += ["", f"[profiles.{name}]"]
        lines += [f"base_url = {_quoted(profile.base_url)}", f"api_key = {_quoted(profile.api_key)}"]
    path = config_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    temporary.replace(path)


def _quoted(text: str) -> str:
    """A TOML string: JSON's is one, as long as nothing but quotes, backslashes and control characters is escaped."""
    return json.dumps(text, ensure_ascii=False)


def connection(*, base_url: str | None, api_key: str | None, profile: str | None) -> tuple[str, str]:
    """(URL, key): what is given, else the environment's, else the profile's. A profile's key goes to its URL only.

    Raises:
        ConfigurationError: there is no key, no profile of that name, or one of them cannot be right.
    """
    # A profile that is asked for by argument comes before the environment, as every argument does.
    environment: Mapping[str, str] = os.environ if profile is None else {}
    url = base_url or environment.get("TUNESMITH_BASE_URL")
    key = api_key or environment.get("TUNESMITH_API_KEY")
    named = profile or os.environ.get("TUNESMITH_PROFILE")
    if named or not key:
        kept = load()
        known = kept.by_name.get(named or kept.default)
        if named and known is None:
            raise ConfigurationError(f"there is no profile {named!r}: tunesmith login --profile {named}")
        if known is None and kept.by_name and not key:
            names = ", ".join(kept.by_name)
            raise ConfigurationError(f"no API key, and there is no default profile: tunesmith profiles use: {names}")
        if known is not None:
            url = url or known.base_url
            key = key or (known.api_key if url.rstrip("/") == known.base_url.rstrip("/") else None)
    url = url or DEFAULT_BASE_URL
    if not key:
        raise ConfigurationError("no API key: give api_key, set TUNESMITH_API_KEY, or run: tunesmith login")
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError("the API key holds characters that no key has")
    if not url.startswith(SCHEMES):
        raise ConfigurationError(f"the base URL begins with neither http:// nor https://: {url}")
    return url, key
