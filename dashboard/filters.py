"""Forms that narrow lists down: what is filled in becomes the page's address."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from tunesmith import AsyncPage

from dashboard.elements import Text, box, link, shown


def asked_of(request: Request, *names: str) -> dict[str, str]:
    """What the address asks for by those names; what is empty is not asked for."""
    given = {name: request.query_params.get(name, "").strip() for name in names}
    return {name: value for name, value in given.items() if value}


@contextmanager
def filters(path: str, asked: Mapping[str, str], *, classes: str = "") -> Iterator[None]:
    """The form around its inputs, for the list at that path."""
    with box("form", f"filters {classes}", method="get", action=path, role="search"):
        yield
        Text("button", "Show", classes="button primary", type="submit")
        if asked:
            link("Clear", path, classes="button")


class Pages:
    """The way from a page of a list to those behind it, and back to the first. after: the id that it goes on from.
    first, more: what the two ways are called."""

    def __init__(
        self, path: str, asked: Mapping[str, str], after: str | None, *, first: str = "Newest", more: str = "Older"
    ) -> None:
        self.path, self.asked = path, asked
        with box("nav", "top", aria_label="Pages of the list"):
            if after:
                link(first, f"{path}?{urlencode(asked)}", classes="button")
            self.more = link(more, "#", classes="button hidden")

    def show(self, page: AsyncPage[Any]) -> None:
        shown(self.more, page.has_more)
        if page.has_more:
            self.more.props["href"] = f"{self.path}?{urlencode({**self.asked, 'after': page.data[-1].id})}"


def field(title: str, name: str, asked: Mapping[str, str], **properties: str) -> None:
    # `value` would be set anew, over what is being typed, whenever anything on the page changes.
    with _labelled(title) as label:
        made = box("input", name=name, defaultValue=asked.get(name, ""), **properties)
    label.props["for"] = made.html_id


def choice(title: str, name: str, asked: Mapping[str, str], options: Sequence[tuple[str, str]]) -> None:
    """options: (value, what it is called); the first one where none is asked for."""
    chosen = asked.get(name, options[0][0])
    unknown = [] if chosen in dict(options) else [(chosen, chosen)]
    with _labelled(title) as label, box("select", name=name) as made:
        for value, called in [*options, *unknown]:
            marked: dict[str, Any] = {"selected": True} if value == chosen else {}
            Text("option", called, value=value, **marked)
    label.props["for"] = made.html_id


def words_of(values: Iterable[str], *, first: str = "") -> list[tuple[str, str]]:
    """Values with what they are called; `first`: for none of them."""
    return ([("", first)] if first else []) + [(value, value.replace("_", " ")) for value in values]


@contextmanager
def _labelled(title: str) -> Iterator[Text]:
    with box("div", "filter"):
        yield Text("label", title)
