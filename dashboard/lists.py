"""Models and files to choose from: what a browser proposes while an id is being typed."""

from collections.abc import Iterable

from nicegui.element import Element
from tunesmith.specs.method import USABLE_KINDS
from tunesmith.types import File, Model

from dashboard.elements import Text, box
from dashboard.words import number

MOST = 1000  # proposals: the newest


def datalist() -> Element:
    return box("datalist")


def propose(place: Element, options: Iterable[tuple[str, str]]) -> None:
    """options: (what is filled in, what it is)"""
    place.clear()
    with place:
        for value, label in list(options)[:MOST]:
            Text("option", label, value=value)


def model_words(model: Model) -> str:
    also = f", also {', '.join(model.aliases)}" if model.aliases else ""
    if model.job_id is None:
        return f"base model{also}"
    kind = "reward model" if model.kind == "reward_model" else "model"
    return f"{kind} of {model.base_model}, {'adapter' if model.weights == 'adapter' else 'full weights'}{also}"


def file_words(file: File) -> str:
    return f"{file.filename}, {number(file.rows)} rows, {file.kind or 'of no kind'}"


def fits(file: File, method: str) -> bool:
    """Whether jobs of that method can learn from it."""
    return file.status == "processed" and file.purpose == "fine-tune" and file.kind in USABLE_KINDS[method]
