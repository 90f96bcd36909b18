"""The body of a job while it is being written: only what was filled in."""

import json
import math
import re
from typing import Any

from pydantic import ValidationError
from tunesmith.specs import JobSpec
from tunesmith.specs.mistakes import Mistake, mistakes
from tunesmith.types import Job

from dashboard.spec_schema import METHODS, SCHEMA, Node, needs_options

NOTHING = object()  # in the place of a value that is not given
INTEGER = re.compile(r"[+-]?\d{1,18}")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class Draft:
    """`body` is what would be sent; `broken` has, by their keys, texts of fields that could not be read."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body, self.broken = body, dict[str, str]()

    @property
    def method(self) -> str:
        """The chosen one; what is none counts as the contract's default."""
        given = self.body.get("method")
        type_ = given.get("type") if isinstance(given, dict) else None
        return type_ if isinstance(type_, str) and type_ in METHODS else "supervised"

    def choose(self, type_: str) -> None:
        """Another method: the options of the old one go with it."""
        self.body["method"] = {"type": type_, **({type_: {}} if needs_options(type_) else {})}
        self.broken = {key: text for key, text in self.broken.items() if not key.startswith("method.")}

    def get(self, path: tuple[str, ...]) -> Any:
        found: Any = self.body
        for name in path:
            if not isinstance(found, dict) or name not in found:
                return NOTHING
            found = found[name]
        return found

    def put(self, path: tuple[str, ...], value: Any) -> None:
        """Set it, or take it out; an object that becomes empty by that goes too, unless it is a method's."""
        name, *below = path
        if name == "method" and "method" not in self.body:
            self.choose(self.method)
        self.body = _with(self.body, name, below, value, kept=2 if name == "method" else 0)

    def write(self, node: Node, text: str) -> None:
        """What somebody has typed into the field of that key."""
        self.broken.pop(node.key, None)
        try:
            value = parsed(node, text.strip())
        except ValueError as error:
            self.broken[node.key] = f"{node.key}: {error}"
            value = NOTHING
        self.put(node.path, value)

    def text(self) -> str:
        return json.dumps(self.body, indent=2, ensure_ascii=False)

    def read(self, text: str) -> None:
        """Take the whole from JSON.

        Raises:
            ValueError: it is none, or no object.
        """
        body = from_json(text)
        if not isinstance(body, dict):
            raise ValueError("the spec is an object: {…}")
        self.body, self.broken = body, {}

    def mistakes(self) -> dict[str, Mistake]:
        """What the API would refuse without looking anything up, by the paths of the keys."""
        found: dict[str, Mistake] = {}
        try:
            JobSpec.model_validate(self.body)
        except ValidationError as error:
            found = mistakes(error.errors(include_url=False), body=self.body, schema=SCHEMA)
        return found | {key: Mistake("broken", text) for key, text in self.broken.items()}


def _with(body: dict[str, Any], name: str, below: list[str], value: Any, *, kept: int) -> dict[str, Any]:
    """The object with that value below that name. kept: levels from here that stay though they are empty."""
    inner = body.get(name)
    if below:
        value = _with(inner if isinstance(inner, dict) else {}, below[0], below[1:], value, kept=kept - 1)
        value = value if value or kept > 0 else NOTHING
    if value is NOTHING:
        return {key: other for key, other in body.items() if key != name}
    return {**body, name: value}


def of_job(job: Job) -> dict[str, Any]:
    """The body that makes such a job again; what has its default is left out."""
    integrations = [
        {key: value for key, value in told.items() if key not in ("status", "url", "reason")}
        for told in (job.model_extra or {}).get("integrations") or []
    ]
    body: dict[str, Any] = {
        "model": None if _is_of_no_model(job) else job.model,
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        "suffix": job.suffix,
        "seed": job.seed,
        "metadata": job.metadata,
        "resources": job.resources,
        "max_duration_seconds": job.max_duration_seconds,
        "method": job.method,
        "integrations": integrations or None,
    }
    body = {key: value for key, value in body.items() if value is not None}
    try:
        spec = JobSpec.model_validate(body)
    except ValidationError:  # of another version: as it is, and its faults are shown
        return body
    options = spec.method.options.model_dump(mode="json", exclude_defaults=True)
    method = {"type": spec.method.type, **({spec.method.type: options} if options else {})}
    given = spec.model_dump(mode="json", exclude_defaults=True, exclude_none=True, exclude={"method"})
    return {**given, "method": method}


def _is_of_no_model(job: Job) -> bool:
    """An initialization without one has the name of its architecture there."""
    options = (job.method or {}).get("initialization")
    return bool(options) and options["tokenizer"]["type"] != "model"


def from_json(text: str) -> Any:
    """
    Raises:
        ValueError: it is no JSON, or holds what cannot be sent.
    """
    try:
        value = json.loads(text, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except UnicodeEncodeError:
        raise ValueError("no JSON: it holds half of a surrogate pair") from None
    except RecursionError:
        raise ValueError("no JSON: nested too deep") from None
    return value


def _no_number(word: str) -> None:
    raise ValueError(f"no JSON: {word} is no number of it")


def parsed(node: Node, text: str) -> Any:
    """The value that a text of a form stands for; what is none of the kind stays a text, whose fault validation tells.

    Raises:
        ValueError: it is to be JSON, or pairs, and is not.
    """
    if not text:
        return NOTHING
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("it holds half of a surrogate pair")
    if node.nullable and text == "null":
        return None
    match node.kind:
        case "yes_no":
            return {"true": True, "false": False}.get(text, text)
        case "number":
            return _number(text)
        case "names":
            return text if text in node.options else [name.strip() for name in text.split(",") if name.strip()]
        case "pairs":
            return _pairs(text)
        case "json":
            return from_json(text)
        case _:
            return text


def _number(text: str) -> int | float | str:
    if INTEGER.fullmatch(text):
        return int(text)
    value = float(text) if NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else text


def _pairs(text: str) -> dict[str, str]:
    pairs = [line.partition("=") for line in text.splitlines() if line.strip()]
    if bad := next((name for name, equals, _ in pairs if not equals), None):
        raise ValueError(f"key=value is wanted, one a line; given {bad[:80]!r}")
    return {name.strip(): value.strip() for name, _, value in pairs}


def shown(node: Node, value: Any) -> str:
    """The text of a form that stands for a value."""
    if value is NOTHING:
        return ""
    if node.kind == "names" and isinstance(value, list) and all(isinstance(name, str) for name in value):
        return ", ".join(value)
    if node.kind == "pairs" and isinstance(value, dict):
        return "\n".join(f"{name}={text}" for name, text in value.items())
    if node.kind == "json":
        return json.dumps(value, indent=2, ensure_ascii=False)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
