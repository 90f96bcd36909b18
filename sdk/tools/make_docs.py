"""Write docs/sdk.md from the docstrings, docs/cli.md from the help texts, and docs/job-spec.md from the job's schema.

python sdk/tools/make_docs.py
"""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tunesmith import Tunesmith, deployment, errors, types
from tunesmith.base import Answer
from tunesmith.cli.app import app
from tunesmith.errors import TunesmithError
from tunesmith.specs import JobSpec

DOCS = Path(__file__).parents[2] / "docs"
WIDTH = 100  # characters of a help text
SDK_HEAD = """# The Python client

Written from the docstrings by `make docs`. `pip install ./sdk` in a checkout, Python 3.10 or newer.

`Tunesmith` is described here. `AsyncTunesmith` has the same methods: `await` those that answer, and go through lists
and streams with `async for`. Answers are pydantic models; fields that a newer server adds are kept.

In the folder of a stack that runs here, `set -a; . .tunesmith/env; set +a` sets the variables that are named below.
"""
CLI_HEAD = """# The command line

Written from the help texts by `make docs`. `pip install ./sdk` in a checkout; `pip install './sdk[check]'` for
`files check`. `make setup` puts `tunesmith` into `.venv/bin`.
"""

SPEC_HEAD = """# The body of a job

Written from the specification by `make docs`: every key of `POST /v1/fine_tuning/jobs`, what it may be, and what it is
where it is left out. A key that is not here is refused with 400, and so is a value that is not allowed; the error names
both. Null means the default everywhere.
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
    answers = [found for module in (types, deployment) for found in _classes(module) if issubclass(found[1], Answer)]
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


def job_spec() -> str:
    """The page about the body of a job."""
    schema = JobSpec.model_json_schema()
    return "\n".join([SPEC_HEAD, *_objects(schema, schema["$defs"], "")])


def _objects(schema: dict[str, Any], defs: dict[str, Any], path: str) -> Iterator[str]:
    """A table of an object's keys, and behind it those of the objects in it."""
    lines = ["| key | allowed | default | |", "|---|---|---|---|"]
    below: list[tuple[dict[str, Any], str]] = []
    for key, field in schema["properties"].items():
        inner = [defs[branch["$ref"].rpartition("/")[2]] for branch in _branches(field) if "$ref" in branch]
        below += [(definition, f"{path}{key}") for definition in inner if "properties" in definition]
        default = "required" if key in schema.get("required", []) else _default(field)
        said = field.get("description") or (_sentence(inner[0]) if inner else "")
        allowed = " or ".join(filter(None, (_allowed(branch, defs) for branch in _branches(field))))
        lines.append(f"| `{key}` | {allowed} | {default} | {said} |")
    kind = schema["properties"].get("type", {}).get("const")  # tells apart what may stand in one place
    heading = f"{path.removesuffix('.') or 'The job'}{f', {kind}' if kind else ''}"
    yield f"## {heading}\n\n{_sentence(schema)}\n\n" + "\n".join(lines) + "\n"
    for definition, name in below:
        if name != "hyperparameters":  # the contract's old place: the same object as the method's
            yield from _objects(definition, defs, f"{name}.")


def _sentence(schema: dict[str, Any]) -> str:
    return " ".join(schema.get("description", "").split())


def _branches(field: dict[str, Any]) -> list[dict[str, Any]]:
    branches = field.get("anyOf") or field.get("oneOf") or [field]
    return [branch for branch in branches if branch.get("type") != "null"]


def _default(field: dict[str, Any]) -> str:
    default = field.get("default")
    return "" if default is None or isinstance(default, (dict, list)) else f"`{json.dumps(default)}`"


def _allowed(field: dict[str, Any], defs: dict[str, Any]) -> str:
    if "$ref" in field:
        return "object" if "properties" in defs[field["$ref"].rpartition("/")[2]] else ""
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    if field.get("type") == "array" and "items" in field:
        return f"list of {_allowed(field['items'], defs)}"
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {field[name]:,}" for name, sign in bounds.items() if name in field]
    limits += [f"at most {field[name]}" for name in ("maxLength", "maxItems", "maxProperties") if field.get(name)]
    return " ".join([field.get("type", ""), ", ".join(limits)]).strip()


def pages() -> dict[Path, str]:
    """All pages, by their paths."""
    return {DOCS / "sdk.md": sdk(), DOCS / "cli.md": cli(), DOCS / "job-spec.md": job_spec()}


if __name__ == "__main__":
    for path, page in pages().items():
        path.write_text(page)
