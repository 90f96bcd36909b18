# pyright: standard, reportMissingImports=false
# Copied from core/specs/grader_template.py by sdk/tools/copy_core.py: change it there.
"""`{{ item.answer }}`, `{{ sample.output_text }}`: how a grader names parts of a row and of what a model made of it.

A template is text with references in it; there are no expressions, so that nothing of it is ever executed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

# No brace within: so that a text of nothing but braces is looked through once, not once for each.
REFERENCE = re.compile(r"\{\{([^{}]*)\}\}")
PATH = re.compile(r"\s*(item|sample)((?:\.[^\s.{}]+)+)\s*")
SAMPLE_KEYS = ("output_text", "output_json", "output_tools", "choices")
LONGEST_PLACE = 10  # digits; Python refuses to read thousands of them
ALLOWED = "item.<key>, sample.output_text, sample.output_json, sample.output_tools, sample.choices, and keys below them"


class UnknownName(ValueError):
    """A reference to something that this item or sample does not have."""


class NotJson(ValueError):
    """A reference into `sample.output_json`, of a sample whose text is no JSON."""


def check(template: str) -> str:
    """The template itself.

    Raises:
        ValueError: a reference of it can name nothing, whatever the item.
    """
    for found in REFERENCE.finditer(template):
        path = PATH.fullmatch(found[1])
        if path is None or (path[1] == "sample" and path[2].split(".")[1] not in SAMPLE_KEYS):
            raise ValueError(f"{found[0][:80]!r} names nothing; allowed are {ALLOWED}")
    rest = REFERENCE.sub("", template)
    if "{{" in rest:
        raise ValueError("a '{{' has no '}}' behind it")
    return template


def keys(template: str, name: Literal["item", "sample"]) -> Iterator[tuple[str, str]]:
    """(reference, key) of every reference to a key of the row or sample; what is below it is only theirs to know."""
    for found in REFERENCE.finditer(template):
        path = PATH.fullmatch(found[1])
        assert path is not None, "checked when the grader was"
        if path[1] == name:
            yield found[0], path[2].split(".")[1]


def render(template: str, *, item: Mapping[str, Any], sample: Mapping[str, Any]) -> str:
    """The template with the values in their places: text as it is, everything else as JSON.

    Raises:
        UnknownName: the item or the sample has no such key.
        NotJson: the sample's text was asked for as JSON and is none.
    """

    def value(found: re.Match[str]) -> str:
        path = PATH.fullmatch(found[1])
        assert path is not None, "checked when the grader was"
        held = look_up(found[0], path[1], path[2].split(".")[1:], {"item": item, "sample": sample}[path[1]])
        return held if isinstance(held, str) else json.dumps(held, ensure_ascii=False)

    return REFERENCE.sub(value, template)


def look_up(shown: str, name: str, keys: list[str], node: Any) -> Any:
    """What the keys lead to; a number is a place in a list."""
    for depth, key in enumerate(keys):
        if name == "sample" and depth == 0 and key == "output_json" and node.get(key) is None:
            raise NotJson(f"{shown}: the sample's text is no JSON object or list")
        if isinstance(node, Mapping) and key in node:
            node = node[key]
        elif isinstance(node, list) and key.isdecimal() and len(key) < LONGEST_PLACE and int(key) < len(node):
            node = node[int(key)]
        else:
            place = ".".join([name, *keys[:depth]])
            raise UnknownName(f"{shown}: {place} has no {key!r}; {_has(node)}")
    return node


def _has(node: Any) -> str:
    if isinstance(node, Mapping):
        return f"it has {', '.join(sorted(map(str, node))[:20]) or 'no keys'}"
    return f"it is a list of {len(node)}" if isinstance(node, list) else f"it is a {type(node).__name__}"
