"""Inputs for the keys of a job spec, made from its schema. Their texts are the browser's: see `Entry.element`."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from nicegui import ui
from nicegui.element import Element

from dashboard.draft import Draft
from dashboard.draft import shown as as_text
from dashboard.elements import Text, box, shown
from dashboard.spec_schema import Node, outline

VALUE = "(event) => emit(event.target.value)"
TYPING = 0.25  # seconds between two looks at what is being typed
FIRST = "hyperparameters"  # the contract's knobs, which most people come for


class Entry:
    """One key: its name, an input, its help, and what is wrong with it."""

    def __init__(
        self, node: Node, draft: Draft, changed: Callable[[], None], *, choices: Element | None = None
    ) -> None:
        self.node = node
        with box("div", "entry"):
            with box("div", "asked"):
                label = Text("label", node.name, classes="mono")
                self.element = self._input(as_text(node, draft.get(node.path)), choices)
                label.props["for"] = self.element.html_id
            with box("div", "about") as about:
                if node.help:
                    Text("p", node.help, classes="quiet")
                self.told = Text("p", classes="hidden")
                self.fault = Text("p", classes="fault hidden")
                if node.kind == "json":
                    with box("details"):
                        Text("summary", "What it may hold", classes="quiet")
                        Text("div", outline(node), classes="pre")
        self.element.props["aria-describedby"] = about.html_id

        def typed(event: Any) -> None:
            draft.write(node, str(event.args))
            changed()

        self.element.on("input", typed, js_handler=VALUE, throttle=TYPING, leading_events=False)
        self.element.on("change", typed, js_handler=VALUE)

    def _input(self, text: str, choices: Element | None) -> Element:
        """`value` would be set anew, over what is being typed, whenever anything on the page changes."""
        node = self.node
        if node.kind in ("choice", "yes_no"):
            return _select(node, text)
        if node.kind in ("json", "pairs"):
            hint = "key=value, one a line" if node.kind == "pairs" else "{ }"
            return box("textarea", defaultValue=text, rows=3, spellcheck="false", placeholder=hint)
        listed = {"list": choices.html_id} if choices else {}
        mode = {"inputmode": "decimal"} if node.kind == "number" and not node.options else {}
        hint = _default(node)
        return box(
            "input", defaultValue=text, placeholder=hint, autocomplete="off", spellcheck="false", **listed, **mode
        )

    def mark(self, sentence: str) -> None:
        self.fault.show(sentence)
        shown(self.fault, bool(sentence))
        wrong = "true" if sentence else "false"
        if self.element.props.get("aria-invalid") != wrong:
            self.element.props["aria-invalid"] = wrong

    def tell(self, text: str, *, warn: bool = False) -> None:
        self.told.show(text)
        self.told.classes(add="warn") if warn else self.told.classes(remove="warn")
        shown(self.told, bool(text))


class Group:
    """Keys that belong together, folded away where none of them is given."""

    def __init__(self, node: Node, draft: Draft) -> None:
        unfolded = node.name == FIRST or isinstance(draft.get(node.path), dict)
        opened: dict[str, Any] = {"open": True} if unfolded else {}
        with box("details", "group", **opened) as self.element:
            with box("summary"):
                Text("span", node.name, classes="mono")
                Text("span", node.help, classes="quiet")
                self.count = Text("span", classes="badge bad hidden")
            self.fault = Text("p", classes="fault hidden")

    def mark(self, sentence: str | None, *, wrong: int) -> None:
        self.fault.show(sentence or "")
        shown(self.fault, bool(sentence))
        self.count.show(f"{wrong} to mend")
        shown(self.count, wrong > 0)


class Section:
    """The inputs of some keys."""

    def __init__(self, nodes: Iterable[Node], draft: Draft, changed: Callable[[], None]) -> None:
        self.draft, self.changed = draft, changed
        self.entries, self.groups = dict[str, Entry](), dict[str, Group]()
        self._add(nodes)

    def _add(self, nodes: Iterable[Node]) -> None:
        for node in sorted(nodes, key=lambda node: (not node.required, node.name != FIRST, node.kind == "group")):
            if node.kind == "group":
                self.groups[node.key] = group = Group(node, self.draft)
                with group.element:
                    self._add(node.children)
            else:
                self.entries[node.key] = Entry(node, self.draft, self.changed)

    def texts(self) -> dict[str, str]:
        """What should stand in the inputs, by the ids of their elements."""
        return {e.element.html_id: as_text(e.node, self.draft.get(e.node.path)) for e in self.entries.values()}

    def mark(self, wrong: dict[str, str]) -> None:
        """wrong: what is wrong, by the paths of the keys."""
        for key, entry in self.entries.items():
            inside = [sentence for path, sentence in wrong.items() if f"{path}.".startswith(f"{key}.")]
            entry.mark("; ".join(inside))
        for key, group in self.groups.items():
            group.mark(wrong.get(key), wrong=sum(f"{path}.".startswith(f"{key}.") for path in wrong))


def set_texts(texts: dict[str, str]) -> None:
    ui.run_javascript(f"setTexts({json.dumps(texts)})")


def reveal(element: Element) -> None:
    """Unfold what it is folded away in, and go to it."""
    ui.run_javascript(f"reveal({json.dumps(element.html_id)})")


def _default(node: Node) -> str:
    if node.required:
        return "required"
    default = "none" if node.default is None else node.default
    return f"{default if isinstance(default, str) else json.dumps(default)}{' (null: none)' if node.nullable else ''}"


def _select(node: Node, text: str) -> Element:
    names = {"true": "yes", "false": "no"} if node.kind == "yes_no" else {word: word for word in node.options}
    default = "" if node.default is None else as_text(node, node.default)
    with box("select") as made:
        Text("option", "required" if node.required else f"default: {names.get(default, 'none')}", value="")
        for value, name in names.items():
            chosen: dict[str, Any] = {"selected": True} if value == text else {}
            Text("option", name, value=value, **chosen)
    return made
