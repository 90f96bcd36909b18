# pyright: standard, reportMissingImports=false
# Copied from core/specs/mistakes.py by sdk/tools/copy_core.py: change it there.
"""Validation errors in words: which key, what was given, what is allowed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith.specs.strict import WrongKey

# What a value must be, by the type of pydantic's error; the names in braces are those of its context.
ALLOWED = {
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a string",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "list_type": "a list",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_too_short": "at least {min_length} long, in characters",
    "string_too_long": "at most {max_length} long, in characters",
    "string_pattern_mismatch": "of the pattern {pattern}",
    "too_short": "at least {min_length} long, in items",
    "too_long": "at most {max_length} long, in items",
    "union_tag_invalid": "one of {expected_tags}",
}

MISSING = ("missing", "union_tag_not_found")


@dataclass(frozen=True)
class Mistake:
    """What is wrong at one path. kind: the type of pydantic's error, such as `missing` or `extra_forbidden`."""

    kind: str
    sentence: str

    @property
    def missing(self) -> bool:
        """Nothing was given, rather than something wrong."""
        return self.kind in MISSING


def mistakes(errors: Sequence[Any], *, body: Any = None, schema: dict[str, Any] | None = None) -> dict[str, Mistake]:
    """By the paths of the keys, in pydantic's order; a path is empty where it is the whole that is wrong.

    Args:
        errors: as from `ValidationError.errors()`.
        body: what was validated; it tells keys from the names of a union's branches.
        schema: its JSON schema, from which the allowed keys are read.
    """
    by_path: dict[str, list[Any]] = {}
    for error in errors:
        by_path.setdefault(_path(error, body), []).append(error)
    return {path: Mistake(found[0]["type"], _sentence(path, found, schema, body)) for path, found in by_path.items()}


def _path(error: Any, body: Any) -> str:
    parts: list[str] = []
    node = body
    for i, part in enumerate(error["loc"]):
        if body is None:
            parts.append(str(part))
        elif isinstance(node, dict) and (part in node or (i == len(error["loc"]) - 1 and error["type"] == "missing")):
            parts.append(str(part))
            node = node.get(part)
        elif isinstance(node, list) and isinstance(part, int):
            parts.append(str(part))
            node = node[part] if part < len(node) else None
        # Anything else names a branch of a union, which is no key of the client's.
    if error["type"] in (
        "union_tag_invalid",
        "union_tag_not_found",
    ):  # what tells the branches apart is the key that is wrong
        parts.append(error["ctx"]["discriminator"].strip("'"))
    raised = error.get("ctx", {}).get("error")
    if isinstance(raised, WrongKey):
        parts.append(raised.key)
    return ".".join(parts)


def _sentence(path: str, errors: list[Any], schema: dict[str, Any] | None, body: Any) -> str:
    first = errors[0]
    if first["type"] == "extra_forbidden":
        allowed = _allowed_keys(schema, path.split(".")[:-1], body) if schema else []
        hint = f"; allowed here: {', '.join(allowed)}" if allowed else ""
        return f"{path}: unknown key{hint}"
    if first["type"] in MISSING:
        return f"{path}: required"
    reasons = ", or ".join(dict.fromkeys(_reason(error) for error in errors)).replace(", or must be ", ", or ")
    value = first["ctx"]["tag"] if first["type"] == "union_tag_invalid" else first.get("input")
    given = "" if first["type"] == "value_error" else f"; given {shown(value)}"
    return f"{path}: {reasons}{given}" if path else f"{reasons}{given}"


def _reason(error: Any) -> str:
    if error["type"] in ALLOWED:
        return f"must be {ALLOWED[error['type']].format(**error.get('ctx', {}))}"
    message: str = error["msg"].removeprefix("Value error, ")
    return message.replace("Input should be ", "must be ", 1)


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _allowed_keys(schema: dict[str, Any], path: list[str], body: Any) -> list[str]:
    nodes = [schema]
    for part in path:
        nodes = [child for node in nodes for child in _children(schema, node, part)]
        body = body.get(part) if isinstance(body, dict) else None
        nodes = [node for node in nodes if _is_branch(node, body)]
    return sorted({key for node in nodes for key in node.get("properties", {})})


def _is_branch(node: dict[str, Any], body: Any) -> bool:
    """Whether the object may be of that branch of a union, by the key `type`, where both have one."""
    kind = node.get("properties", {}).get("type", {}).get("const")
    return not isinstance(body, dict) or kind is None or body.get("type", kind) == kind


def _children(schema: dict[str, Any], node: dict[str, Any], part: str) -> list[dict[str, Any]]:
    # The last two are those of a dictionary, whose keys are the client's.
    of_any_key = next(iter(node.get("patternProperties", {}).values()), None) or node.get("additionalProperties")
    child = node.get("properties", {}).get(part) or of_any_key
    return _alternatives(schema, child) if isinstance(child, dict) else []


def _alternatives(schema: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        return [schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]]
    branches = node.get("anyOf") or node.get("oneOf")
    return [found for branch in branches for found in _alternatives(schema, branch)] if branches else [node]
