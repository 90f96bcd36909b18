import os
import subprocess
import sys
import time
from pathlib import Path

from core.scratch import YOUNGEST, scratch

HOLD = """
import sys
from pathlib import Path
from core.scratch import scratch
with scratch("test", within=Path(sys.argv[1])) as folder:
    (folder / "bytes").write_text("large")
    print(folder, flush=True)
    sys.stdin.read()
"""


def hold(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def age(folder: Path) -> None:
    long_ago = time.time() - 2 * YOUNGEST
    os.utime(folder, (long_ago, long_ago))


def test_what_a_killed_process_leaves_goes_and_what_a_living_one_uses_stays(tmp_path: Path) -> None:
    killed, left = hold(tmp_path)
    living, used = hold(tmp_path)
    with killed, living:
        killed.kill()
        killed.wait()
        for folder in (left, used):
            age(folder)
        with scratch("test", within=tmp_path) as mine:
            assert not left.exists()
            assert (used / "bytes").exists()
            assert mine.exists()
        assert not mine.exists()
        living.communicate("")
    assert list(tmp_path.iterdir()) == []


def test_one_that_was_made_just_now_may_not_be_locked_yet(tmp_path: Path) -> None:
    (tmp_path / "tunesmith-test-new").mkdir()
    with scratch("test", within=tmp_path):
        assert (tmp_path / "tunesmith-test-new").exists()
