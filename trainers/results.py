"""The result file of the contract: one line a step."""

import csv
from pathlib import Path
from typing import Any

COLUMNS = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_mean_token_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_mean_token_accuracy",
}


def write_results(path: Path, history: list[dict[str, Any]]) -> None:
    """Write the figures of all steps as CSV; what was not measured at a step stays empty."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([row.get(name, "") for name in COLUMNS.values()] for row in history)
