"""The result file of the contract: one line a step."""

import csv
from pathlib import Path
from typing import Any


def write_results(path: Path, history: list[dict[str, Any]], *, columns: dict[str, str]) -> None:
    """Write the figures of all steps as CSV, as the columns name them; what was not measured at a step stays empty."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", *columns])
        writer.writerows([row["step"], *(row.get(name, "") for name in columns.values())] for row in history)
