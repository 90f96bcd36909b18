"""Objects that are written down in files."""

from pathlib import Path
from typing import Any

import click


def read(path: Path, hint: str) -> dict[str, Any]:
    """The file's mapping, of YAML or JSON. Raises BadParameter, which names the argument `hint`."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path}: {error}", param_hint=hint) from None
    if not isinstance(found, dict):
        raise click.BadParameter(f"{path} holds no mapping", param_hint=hint)
    return {str(key): value for key, value in found.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
