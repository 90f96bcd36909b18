"""The job spec's JSON schema, as a tree of what a form can ask for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from tunesmith.specs import JobSpec

SCHEMA: dict[str, Any] = JobSpec.model_json_schema()
METHODS: dict[str, str] = SCHEMA["properties"]["method"]["discriminator"]["mapping"]
# group: an object with keys of its own. names: strings, or one of `options`. pairs: an object of any keys with texts.
# json: what is too deep for a form.
Kind = Literal["group", "choice", "yes_no", "number", "text", "names", "pairs", "json"]
SIMPLE: dict[str, Kind] = {"boolean": "yes_no", "integer": "number", "number": "number", "string": "text"}
LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "maxLength": "at most {} characters",
}


@dataclass(frozen=True)
class Node:
    """One key. options: the words that it may be; of a number such as `auto`. nullable: null says something else than
    its default."""

    path: tuple[str, ...]
    kind: Kind
    help: str
    default: Any
    required: bool
    nullable: bool
    options: tuple[str, ...] = ()
    children: "tuple[Node, ...]" = ()
    schema: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def key(self) -> str:
        return ".".join(self.path)

    def all(self) -> "Iterator[Node]":
        """Itself and what is below."""
        yield self
        for child in self.children:
            yield from child.all()


def of_job() -> list[Node]:
    """The keys of a job but for its method."""
    return [node for node in _children((), SCHEMA) if node.name not in ("method", "hyperparameters")]


def of_method(type_: str) -> tuple[str, list[Node]]:
    """(what the method is, its options)"""
    options = _resolved(_resolved({"$ref": METHODS[type_]})["properties"][type_])
    return options.get("description", ""), _children(("method", type_), options)


def needs_options(type_: str) -> bool:
    """Whether the method has an option without a default."""
    return type_ in _resolved({"$ref": METHODS[type_]}).get("required", ())


def _children(path: tuple[str, ...], schema: dict[str, Any]) -> list[Node]:
    required = schema.get("required", ())
    return [_node((*path, name), child, name in required) for name, child in schema["properties"].items()]


def _node(path: tuple[str, ...], schema: dict[str, Any], required: bool) -> Node:
    schema = _resolved(schema)
    branches = [_resolved(branch) for branch in schema.get("anyOf", [schema])]
    given = [branch for branch in branches if branch.get("type") != "null"]
    kind, options = _kind(given)
    help_ = schema.get("description") or (given[0].get("description", "") if kind == "group" else "")
    limits = [words.format(branch[key]) for branch in given for key, words in LIMITS.items() if key in branch]
    default = schema.get("default")
    return Node(
        path=path,
        kind=kind,
        help=" ".join([" ".join(help_.split()), *([f"{', '.join(limits).capitalize()}."] if limits else [])]).strip(),
        default=default,
        required=required,
        nullable=len(given) < len(branches) and default is not None,
        options=options,
        children=tuple(_children(path, given[0])) if kind == "group" else (),
        schema=schema,
    )


def _kind(branches: list[dict[str, Any]]) -> tuple[Kind, tuple[str, ...]]:
    words = tuple(
        word for branch in branches for word in branch.get("enum", [branch["const"]] if "const" in branch else [])
    )
    others = [branch for branch in branches if "enum" not in branch and "const" not in branch]
    if not others:
        return "choice", words
    if len(others) > 1 or "oneOf" in others[0]:
        return "json", ()
    only = others[0]
    if only["type"] == "object" and "properties" in only:
        return "group", ()
    if only["type"] == "object" and only["additionalProperties"].get("type") == "string":
        return "pairs", ()
    if only["type"] == "array" and only["items"].get("type") == "string":
        return "names", words
    return SIMPLE.get(only["type"], "json"), words


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """What a reference points to; what stands beside it wins."""
    if "$ref" not in schema:
        return schema
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return {**SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[-1]], **beside}


def outline(node: Node) -> str:
    """What the value of a key may hold, in lines."""
    return "\n".join(_lines(node.schema, "", ()))


def _lines(schema: dict[str, Any], indent: str, above: tuple[str, ...]) -> Iterator[str]:
    schema = _resolved(schema)
    for branch in schema.get("anyOf") or schema.get("oneOf") or ():
        yield from _lines(branch, indent, above)
    if below := list(_lines(schema["items"], f"{indent}  ", above)) if "items" in schema else []:
        yield from (f"{indent}a list of", *below)
    title = schema.get("title", "")
    if "properties" not in schema or title in above:
        return
    type_ = schema["properties"].get("type", {}).get("const")
    what = json.dumps({"type": type_}) if type_ else title
    yield f"{indent}{what}: {' '.join(schema.get('description', '').split())}"
    for name, child in schema["properties"].items():
        if name == "type":
            continue
        told = _resolved(child)
        state = "required" if name in schema.get("required", ()) else f"default {json.dumps(told.get('default'))}"
        yield f"{indent}  {name} ({state}) {' '.join(told.get('description', '').split())}".rstrip()
        if name != "graders":  # of multi: those above again
            yield from _lines({"anyOf": [child]}, f"{indent}    ", (*above, title))
