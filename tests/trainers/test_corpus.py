"""A corpus is tokenised in pieces, into a file: what it takes of memory is not what it has of text."""

import subprocess
import sys
from pathlib import Path

from tests.trainers.runs import write_spec

MEGABYTES = 16
# Run by itself, as peaks are of whole processes. It says by how many megabytes the corpus raised the peak that a small
# one had left behind, and how many tokens were written.
PROGRAM = """
import sys
from pathlib import Path
from core.rows.tokens import ChatTokenizer
from core.specs.run import RunSpec
from trainers.corpus import read_corpus
from trainers.rundir import RunDir
from trainers.stopping import StopRequest

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

folder, model, small, large = map(Path, sys.argv[1:])
spec = RunSpec.model_validate_json((folder / "spec.json").read_bytes())
tokenizer, run_dir, peaks = ChatTokenizer.load(model), RunDir(folder), []
for path in (small, large):
    sequences = read_corpus(spec, str(path), tokenizer, run_dir, StopRequest(), limit=1024, param=path.stem)
    peaks.append(peak())
print(peaks[1] - peaks[0], len(sequences.corpora[0]))
"""


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path, tiny: Path) -> None:
    line = "The quick brown fox jumps over the lazy dog, and nobody knows why it does.\n"
    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    small.write_text(line * (2**20 // len(line)))
    large.write_text(line * (MEGABYTES * 2**20 // len(line)))
    folder = write_spec(tmp_path / "run", base=tiny, training_file=large, pretraining={})
    command = [sys.executable, "-c", PROGRAM, *map(str, (folder, tiny, small, large))]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert said.returncode == 0, said.stderr
    grown, tokens = map(float, said.stdout.split())
    assert tokens > large.stat().st_size  # a byte each: four times as many bytes on disk
    assert grown < MEGABYTES / 2
