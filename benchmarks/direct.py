"""Our trainer without its service: what `python -m trainers` reads."""

import json
import tempfile
from pathlib import Path
from typing import Any


def write_spec(folder: Path, *, model: Path, rows: Path, method: dict[str, Any], seed: int = 0, **fields: Any) -> Path:
    """A new run directory in `folder`; method: as in a job's body; fields: further ones of the spec."""
    run_dir = Path(tempfile.mkdtemp(dir=folder))
    spec = {
        "job_id": "ftjob-benchmark",
        "seed": seed,
        "method": method,
        "base_model": str(model),
        "base_model_name": model.name,
        "training_file": str(rows),
        **fields,
    }
    (run_dir / "spec.json").write_text(json.dumps(spec))
    return run_dir
