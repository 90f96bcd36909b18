"""Validation errors in words: which key, what was given, what is allowed."""

from collections.abc import Collection, Sequence
from typing import Any

from core.errors import InvalidRequest
from core.specs.strict import WrongKey

MOST = 5  # errors that one message names
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


class UnknownKey(InvalidRequest):
    code = "unknown_parameter"


class InvalidValue(InvalidRequest):
    code = "invalid_value"


def explain(errors: Sequence[Any], *, body: Any = None, schema: dict[str, Any] | None = None) -> InvalidRequest:
    """One error for the client out of pydantic's list.

    Args:
        errors: as from `ValidationError.errors()`.
        body: what was validated; it tells keys from the names of a union's branches.
        schema: its JSON schema, from which the allowed keys are read.
    """
    by_path: dict[str, list[Any]] = {}
    for error in errors:
        by_path.setdefault(_path(error, body), []).append(error)
    sentences = [_sentence(path, found, schema, body) for path, found in list(by_path.items())[:MOST]]
    if len(by_path) > MOST:
        sentences.append(f"and {len(by_path) - MOST} more")
    param, first = next(iter(by_path.items()))
    kind = UnknownKey if first[0]["type"] == "extra_forbidden" else InvalidValue
    return kind("; ".join(sentences), param=param or None)


def one_of(param: str, value: str | None, allowed: Collection[str]) -> str | None:
    """The value of a query parameter that may be left out.

    Raises:
        InvalidValue: it is none of `allowed`.
    """
    if value is not None and value not in allowed:
        raise InvalidValue(f"{param}: must be one of {', '.join(sorted(allowed))}; given {_shown(value)}", param=param)
    return value


def some_of(param: str, value: str | None, allowed: Collection[str]) -> list[str] | None:
    """The values of a query parameter that takes several, with commas between them; None where it is left out.

    Raises:
        InvalidValue: one of them is none of `allowed`.
    """
    if value is None:
        return None
    values = [part.strip() for part in value.split(",")]
    for part in values:
        one_of(param, part, allowed)
    return values


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
    if first["type"] in ("missing", "union_tag_not_found"):
        return f"{path}: required"
    reasons = ", or ".join(dict.fromkeys(_reason(error) for error in errors)).replace(", or must be ", ", or ")
    value = first["ctx"]["tag"] if first["type"] == "union_tag_invalid" else first.get("input")
    given = "" if first["type"] == "value_error" else f"; given {_shown(value)}"
    return f"{path}: {reasons}{given}" if path else f"{reasons}{given}"


def _reason(error: Any) -> str:
    if error["type"] in ALLOWED:
        return f"must be {ALLOWED[error['type']].format(**error.get('ctx', {}))}"
    message: str = error["msg"].removeprefix("Value error, ")
    return message.replace("Input should be ", "must be ", 1)


def _shown(value: Any) -> str:
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
