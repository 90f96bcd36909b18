"""What a job would take, for people."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from tunesmith.cli.state import State

if TYPE_CHECKING:
    from tunesmith import Estimate

SHOWN = 5  # items of a list
SECTIONS = ("rows", "validation_rows", "tokens", "memory", "time", "cost", "compute")


def show(state: State, found: "Estimate") -> None:
    """The estimate's figures in lines, its warnings last."""
    if state.json:
        state.dump(found.model_dump(mode="json"))
        return
    state.line(f"steps       {found.steps if found.steps is not None else 'not known'}")
    if found.epochs is not None:
        state.line(f"epochs      {found.epochs:g}")
    for name in SECTIONS:
        section, title = getattr(found, name), name.removesuffix("_rows")
        for number, (key, value) in enumerate(_flat(section or {})):
            state.line(f"{title if number == 0 else '':<11} {key}: {value}")
        if not section and name != "validation_rows":
            state.line(f"{title:<11} not known yet")
    for warning in found.warnings:
        where = f" ({warning.param})" if warning.param else ""
        state.line(f"warning     {warning.message}{where}")


def _flat(section: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """(path, value) of every value in the section; of long lists their beginning."""
    flat: list[tuple[str, str]] = []
    for key, value in section.items():
        if value == [] or (key == "reason" and value is None):
            continue
        name = f"{above}{key}".replace("_", " ")
        if isinstance(value, dict):
            flat += _flat(cast("dict[str, Any]", value), f"{name} ")
        elif isinstance(value, list):
            items = cast("list[Any]", value)
            more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
            flat.append((name, ", ".join(map(str, items[:SHOWN])) + more))
        else:
            flat.append((name, _figure(value)))
    return flat


def _figure(value: Any) -> str:
    if value is None:
        return "not known yet"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
