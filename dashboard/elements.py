"""Plain HTML elements whose text is only ever text: what a user or a model has written is never markup."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement
from tunesmith.types import Job

from dashboard.words import percent, share


class Text(TextElement):
    """An element with a text, such as `Text("td", "7", classes="number")`; properties become attributes."""

    def __init__(self, tag: str, text: str = "", *, classes: str = "", **properties: Any) -> None:
        super().__init__(tag=tag, text=text)
        if classes:
            self.classes(classes)
        self.props.update({name.rstrip("_").replace("_", "-"): value for name, value in properties.items()})

    def show(self, text: str) -> None:
        """Change the text, where it has changed."""
        if text != self.text:
            self.set_text(text)


def box(tag: str = "div", classes: str = "", **properties: Any) -> Element:
    """An element that holds others."""
    return Text(tag, classes=classes, **properties)


def shown(element: Element, visible: bool) -> None:
    element.classes(remove="hidden") if visible else element.classes(add="hidden")


def link(text: str, target: str, *, classes: str = "", **properties: Any) -> Text:
    """target: a path of this dashboard, or a link that the API has signed."""
    return Text("a", text, classes=classes, href=target, **properties)


def button(text: str, act: Callable[[], Awaitable[None] | None], *, classes: str = "", **properties: Any) -> Text:
    made = Text("button", text, classes=f"button {classes}", type="button", **properties)
    made.on("click", act, args=[])
    return made


def panel(title: str, *, classes: str = "", **properties: Any) -> Element:
    """A section under a heading."""
    made = box("section", f"panel {classes}", **properties)
    with made:
        Text("h2", title)
    return made


def facts(rows: Iterable[tuple[str, str]]) -> None:
    with box("dl", "facts"):
        for name, value in rows:
            Text("dt", name)
            Text("dd", value)


def badge(status: str) -> Text:
    return Text("span", status.replace("_", " "), classes=f"badge {status}")


class ProgressBar:
    """How far a job is, in words and as a bar."""

    def __init__(self) -> None:
        with box():
            self.words = Text("span")
            self.track = box(
                "div", "bar", role="progressbar", aria_label="progress", aria_valuemin=0, aria_valuemax=100
            )
            with self.track:
                self.filled = box()

    def show(self, job: Job) -> None:
        done = share(job.step, job.total_steps)
        self.words.show("" if job.step is None else f"{job.step} of {job.total_steps or '?'} steps")
        shown(self.track, done is not None)
        if done is not None:
            self.track.props(f"aria-valuenow={round(100 * done)}")
            self.filled.style(f"width: {percent(done)}")


@dataclass(frozen=True)
class Column:
    """`cell` makes what stands in a row's cell; it is called within it, again whenever its `key` has changed."""

    title: str
    cell: Callable[[Any], object]
    key: Callable[[Any], object] = lambda row: row
    number: bool = False


class Entries:
    """Elements that stay where they are while others come and go."""

    def __init__(self, place: Element) -> None:
        self.place, self._made = place, dict[str, Element]()

    def show(self, names: Iterable[str], make: Callable[[str], Element]) -> None:
        """names: what tells the elements apart, in their order."""
        wanted = list(names)
        for name in self._made.keys() - set(wanted):
            self._made.pop(name).delete()
        for place, name in enumerate(wanted):
            if name not in self._made:
                with self.place:
                    self._made[name] = make(name)
            if self.place.default_slot.children[place] is not self._made[name]:
                self._made[name].move(target_index=place)


class Table:
    """Rows that stay where they are while they change: only cells whose key has changed are made anew."""

    def __init__(self, columns: Sequence[Column], *, empty: str, label: str) -> None:
        self.columns = columns
        with box("div", "scroll", tabindex=0, role="region", aria_label=label):
            with box("table") as self.table:
                with box("thead"), box("tr"):
                    for column in columns:
                        Text("th", column.title, scope="col", classes="number" if column.number else "")
                self._entries = Entries(box("tbody"))
            self.nothing = Text("p", empty, classes="empty hidden")
        # Of each row's cells, with the key of what it shows.
        self._cells: dict[str, list[tuple[Element, object]]] = {}

    def show(self, rows: dict[str, Any]) -> None:
        """rows: by what tells them apart, in their order."""
        shown(self.nothing, not rows)
        shown(self.table, bool(rows))
        self._cells = {name: cells for name, cells in self._cells.items() if name in rows}
        self._entries.show(rows, self._new_row)
        for name, row in rows.items():
            self._cells[name] = [
                (element, self._refresh(column, element, key, row))
                for column, (element, key) in zip(self.columns, self._cells[name], strict=True)
            ]

    def _new_row(self, name: str) -> Element:
        with box("tr") as element:
            self._cells[name] = [(box("td", "number" if column.number else ""), _NEVER) for column in self.columns]
        return element

    def _refresh(self, column: Column, element: Element, known: object, row: Any) -> object:
        key = column.key(row)
        if key != known:
            element.clear()
            with element:
                column.cell(row)
        return key


_NEVER = object()


def words(text: Callable[[Any], str], *, classes: str = "") -> tuple[Callable[[Any], object], Callable[[Any], object]]:
    """The cell and the key of a column that is a text."""
    return lambda row: Text("span", text(row), classes=classes), text


def text_column(title: str, text: Callable[[Any], str], *, number: bool = False, classes: str = "") -> Column:
    cell, key = words(text, classes=classes)
    return Column(title, cell, key, number)
