"""Write docs/sdk.md from the docstrings, and docs/cli.md from the help texts.

python sdk/tools/make_docs.py
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tunesmith import Tunesmith, errors, types
from tunesmith.cli.app import app
from tunesmith.errors import TunesmithError

DOCS = Path(__file__).parents[2] / "docs"
WIDTH = 100  # characters of a help text
SDK_HEAD = """# The Python client

Written from the docstrings by `make docs`. `pip install ./sdk` in a checkout, Python 3.10 or newer.

`Tunesmith` is described here. `AsyncTunesmith` has the same methods: `await` those that answer, and go through lists
and streams with `async for`. Answers are pydantic models; fields that a newer server adds are kept.
"""
CLI_HEAD = """# The command line

Written from the help texts by `make docs`. `pip install ./sdk` in a checkout; `pip install './sdk[check]'` for
`files check`. `make setup` puts `tunesmith` into `.venv/bin`.
"""


def sdk() -> str:
    """The page about the client."""
    client = Tunesmith(api_key="tsk-for-the-documentation")
    parts = [SDK_HEAD, "## Tunesmith\n", _signature("Tunesmith", Tunesmith), text(Tunesmith)]
    parts += _methods("client", client)
    for path, resource in _resources("client", client):
        parts.append(f"## {path}\n")
        if type(resource).__doc__:
            described = text(type(resource)).removeprefix(f"`{path}`: ")
            parts.append(described[0].upper() + described[1:])
        parts += _methods(path, resource)
    answers = [(name, kind) for name, kind in _classes(types) if issubclass(kind, types.Answer)]
    parts += [
        "## Answers\n",
        "".join(f"- `{n}`: {_first(k)} Fields: {', '.join(k.model_fields)}.\n" for n, k in answers),
    ]
    raised = [(name, kind) for name, kind in _classes(errors) if issubclass(kind, TunesmithError)]
    parts += ["## Errors\n", "".join(f"- `{name}`: {_first(kind)}\n" for name, kind in raised)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(part.rstrip("\n") + "\n" for part in parts if part))


def _resources(path: str, thing: Any) -> Iterator[tuple[str, Any]]:
    for name, value in vars(thing).items():
        if not name.startswith("_") and type(value).__module__.startswith("tunesmith."):
            yield f"{path}.{name}", value
            yield from _resources(f"{path}.{name}", value)


def _methods(path: str, thing: Any) -> list[str]:
    made: list[str] = []
    for name, function in vars(type(thing)).items():
        if not name.startswith("_") and inspect.isfunction(function):
            made += [_signature(f"{path}.{name}", function), text(function)]
    return made


def _signature(name: str, called: Any) -> str:
    signature = inspect.signature(called)
    parameters = [parameter for key, parameter in signature.parameters.items() if key != "self"]
    plain = str(signature.replace(parameters=parameters))
    plain = re.sub(
        r"\b(?:tunesmith|collections\.abc|pathlib|typing(?:_extensions)?|os|rich)(?:\.\w+)*\.(?=\w)", "", plain
    )
    return f"### {name}\n\n```text\n{name.rpartition('.')[2]}{plain}\n```\n"


def text(thing: Any) -> str:
    """The docstring in Markdown: its sections of arguments and errors become lists."""
    lines: list[str] = []
    section = False
    for line in inspect.cleandoc(thing.__doc__ or "").splitlines():
        if line in ("Args:", "Returns:", "Raises:"):
            lines.append(f"*{line.removesuffix(':')}*\n" if line != "Args:" else "*Arguments*\n")
            section = True
        elif section and re.match(r"    \w[\w, ]*: ", line):
            name, _, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}")
        elif section and line.startswith("    "):
            lines.append(f"  {line.strip()}")
        else:
            section = section and not line
            lines.append(line)
    return "\n".join(lines).rstrip() + "\n"


def _classes(module: Any) -> list[tuple[str, type]]:
    found = vars(module).items()
    return [(n, k) for n, k in found if inspect.isclass(k) and k.__module__ == module.__name__ and n != "Answer"]


def _first(kind: type) -> str:
    return " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split())


def cli() -> str:
    """The page about the command line."""
    return "\n".join([CLI_HEAD, *_commands(app, click.Context(app, info_name="tunesmith", max_content_width=WIDTH))])


def _commands(command: click.Command, context: click.Context) -> Iterator[str]:
    context.terminal_width = WIDTH
    help_text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    yield f"## {context.command_path}\n\n```text\n{help_text}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands(below, click.Context(below, info_name=name, parent=context))


def pages() -> dict[Path, str]:
    """Both pages, by their paths."""
    return {DOCS / "sdk.md": sdk(), DOCS / "cli.md": cli()}


if __name__ == "__main__":
    for path, page in pages().items():
        path.write_text(page)
