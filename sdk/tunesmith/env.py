"""Settings from a file of KEY=value lines, as the one-machine stack writes them."""

import os
from pathlib import Path

from tunesmith.errors import ConfigurationError


def parse_env(text: str) -> dict[str, str]:
    """The settings in the text. Empty lines and those that begin with # are skipped; values may stand in quotes.

    Raises:
        ConfigurationError: a line is no KEY=value. The message names its number only: the line may hold a key.
    """
    settings: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.removeprefix("export ").partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key.isidentifier():
            raise ConfigurationError(f"line {number} is no KEY=value")
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        settings[key] = value
    return settings


def load_env(path: Path) -> None:
    """Take from the file what the environment does not have; a file that does not exist has nothing.

    Raises:
        ConfigurationError: the file cannot be read or understood.
    """
    try:
        settings = parse_env(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {type(error).__name__}") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    for key, value in settings.items():
        os.environ.setdefault(key, value)
