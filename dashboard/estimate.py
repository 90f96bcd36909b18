"""What a job would take, as the API foretells it."""

from typing import Any

from nicegui.element import Element
from tunesmith.types import Estimate

from dashboard.elements import Text, box, facts
from dashboard.words import NONE, duration, number, size


def show_estimate(place: Element, found: Estimate) -> None:
    place.clear()
    with place:
        facts(rows(found))
        if not found.warnings:
            Text("p", "No warnings.", classes="quiet")
        for warning in found.warnings:
            with box("p", "note"):
                Text("strong", f"{warning.param}: " if warning.param else "")
                Text("span", warning.message)


def rows(found: Estimate) -> list[tuple[str, str]]:
    of_rows, tokens, memory = found.rows, found.tokens, found.memory or {}
    time, cost, compute = found.time or {}, found.cost or {}, found.compute or {}
    longest, median = number(of_rows.get("longest_tokens")), number(of_rows.get("median_tokens"))
    amount, seconds = cost.get("amount"), time.get("seconds")
    exact = (found.model_extra or {}).get("exact", True)
    return [
        ("steps", f"{number(found.steps)}, {number(found.epochs)} passes over the rows"),
        ("rows", _rows(of_rows)),
        ("longest row", f"{longest} tokens, median {median}"),
        ("tokens", f"{number(tokens.get('total'))}, {number(tokens.get('trained'))} of them trained"),
        ("counted", "exactly" if exact else f"from a sample, {_interval(found)}"),
        ("time", time.get("reason") or NONE if seconds is None else duration(seconds)),
        ("memory", f"{size(memory.get('total_bytes'))}; {_devices(memory)}"),
        ("cost", cost.get("reason") or NONE if amount is None else f"{number(amount)} {cost.get('currency')}"),
        ("compute", f"{compute.get('flops') or 0:.2e} FLOP, {number(compute.get('parameters'))} parameters"),
    ]


def _rows(told: dict[str, Any]) -> str:
    also = [f"{number(told[key])} {words}" for key, words in OF_ROWS.items() if told.get(key)]
    return ", ".join([number(told.get("total")), *also])


OF_ROWS = {"too_long": "too long", "left_out": "left out", "unusable": "unusable"}


def _interval(found: Estimate) -> str:
    told = (found.model_extra or {}).get("interval") or {}
    return f"give or take {number(told.get('total'))} tokens"


def _devices(memory: dict[str, Any]) -> str:
    found = [
        f"{'fits' if device.get('fits') else 'does not fit'} {device['kind'].upper()} of {size(device['memory_bytes'])}"
        for device in memory.get("devices") or []
    ]
    return ", ".join(found) or "no worker to fit"
