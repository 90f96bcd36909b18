"""Figures as bars of plain HTML, beside what they are in words."""

from collections.abc import Sequence

from dashboard.elements import Text, box
from dashboard.words import number


def bars(rows: Sequence[tuple[str, float]], *, label: str, unit: str) -> None:
    """rows: (name, figure); the longest bar is the largest figure's, and they begin at 0."""
    most = max((figure for _, figure in rows), default=0) or 1
    with box("table", "bars", aria_label=label):
        with box("thead"), box("tr"):
            Text("th", "", scope="col")
            Text("th", unit, scope="col", classes="number")
            Text("th", "", scope="col")
        with box("tbody"):
            for name, figure in rows:
                with box("tr"):
                    Text("th", name, scope="row")
                    Text("td", number(figure), classes="number")
                    with box("td"):
                        box("div", "length", aria_hidden="true").style(f"width: {100 * figure / most:.2f}%")
