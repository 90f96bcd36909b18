import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["api.main", "worker.app", "worker.reconciler", "worker.child", "graders.child", "graders.score"]
)
def test_serving_and_supervising_never_reach_torch(module: str) -> None:
    code = (
        f"import sys, {module}; sys.exit(', '.join({{'torch', 'transformers', 'trl', 'peft'}} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
