"""`python -m benchmarks.training_profile`: where the time of our supervised training goes, by torch's profiler.

The run is that of `benchmarks.training`, in this process. Of each operator counts the time that it takes itself; what
remains of the steps' time is Python, the profiler included, and the Trainer.
"""

import json
import sys
import tempfile
from pathlib import Path

from benchmarks.training import our_run_dir, prepare
from trainers import environment

environment.prepare()

from torch.profiler import ProfilerActivity, profile  # noqa: E402

from trainers.run import run  # noqa: E402

# By what an operator's name holds; the first that fits counts.
GROUPS = {
    "attention": ("scaled_dot_product", "flash_attention"),
    "matrix products": ("mkldnn::_linear", "aten::mm", "aten::addmm", "aten::bmm", "aten::linear", "aten::matmul"),
    "softmax of the loss head, and the loss": ("softmax", "nll_loss", "argmax"),
    "optimiser, clipping": ("_foreach", "_fused_adam", "adam", "linalg_vector_norm"),
    "copies": ("copy_", "cat", "clone", "contiguous", "index", "embedding"),
    "other operators on elements": ("aten::",),
}


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_dir = our_run_dir(prepare(folder), folder, seed=0)
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            status = run(run_dir)
        steps = [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
        (counters,) = (run_dir / "checkpoints").glob("step-*/progress.json")
        seconds = json.loads(counters.read_text())["seconds"]
        print(f"{seconds:.1f} s in {sum(step['type'] == 'metrics' for step in steps)} steps")
    operators = profiled.key_averages()
    found = dict.fromkeys(GROUPS, 0.0)
    for operator in operators:
        group = next((group for group, parts in GROUPS.items() if any(part in operator.key for part in parts)), None)
        if group:
            found[group] += operator.self_cpu_time_total / 1e6
    for group, spent in [*found.items(), ("Python and the rest", seconds - sum(found.values()))]:
        print(f"  {group:40} {spent:6.1f} s  {spent / seconds:4.0%}")
    print(operators.table(sort_by="self_cpu_time_total", row_limit=15, max_name_column_width=50))
    return status


if __name__ == "__main__":
    sys.exit(main())
