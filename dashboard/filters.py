"""Forms that narrow lists down: what is filled in becomes the page's address."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.elements import Text, box


def field(title: str, name: str, asked: Mapping[str, str], **properties: str) -> None:
    # `value` would be set anew, over what is being typed, whenever anything on the page changes.
    with _labelled(title, name):
        box("input", id=f"filter-{name}", name=name, defaultValue=asked.get(name, ""), **properties)


def choice(title: str, name: str, asked: Mapping[str, str], options: Sequence[tuple[str, str]]) -> None:
    """options: (value, what it is called); the first one where none is asked for."""
    chosen = asked.get(name, options[0][0])
    unknown = [] if chosen in dict(options) else [(chosen, chosen)]
    with _labelled(title, name), box("select", id=f"filter-{name}", name=name):
        for value, called in [*options, *unknown]:
            marked: dict[str, Any] = {"selected": True} if value == chosen else {}
            Text("option", called, value=value, **marked)


def words_of(values: Sequence[str], *, first: str = "") -> list[tuple[str, str]]:
    """Values with what they are called; `first`: for none of them."""
    return ([("", first)] if first else []) + [(value, value.replace("_", " ")) for value in values]


def _labelled(title: str, name: str) -> Any:
    place = box("div", "filter")
    with place:
        Text("label", title, for_=f"filter-{name}")
    return place
