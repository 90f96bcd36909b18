"""A run's figures as TensorBoard reads them."""

from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

EVENTS = "events.out.tfevents.tunesmith"  # TensorBoard knows its files by how their names begin


def write_tensorboard(folder: Path, history: list[dict[str, Any]]) -> None:
    """Write one series a figure, over the steps; what was not measured at a step has no point there."""
    with SummaryWriter(logdir=str(folder)) as writer:
        for row in history:
            for name, value in row.items():
                if name != "step" and value is not None:
                    writer.add_scalar(name, value, row["step"])
    (written,) = folder.glob("events.out.tfevents.*")
    written.rename(folder / EVENTS)  # its own name is that of this host
