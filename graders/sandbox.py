"""The full sandbox: CPython under bubblewrap, one launch for all samples of a batch.

Namespaces of its own for everything, so that there is no network and no other process; nothing of the server's
environment; the interpreter's files and the server's packages read-only and nothing else, no /proc; an allow-list of
system calls; limits of memory, time and open files. docs/graders.md says what a machine or a container has to allow.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import graders
from core.specs.graders import PythonGrader
from graders import seccomp
from graders.outcome import Failure, Outcome
from graders.sample import Sample

MEMORY = 2 * 1024**3  # bytes of address space
START_SECONDS = 60.0  # for the launch, on a busy machine
MOST_TOLD = 300  # characters of bubblewrap's own complaint
OURS = ("__init__.py", "sandbox_runner.py", "seccomp.py")
MAIN = "import sys; sys.path.insert(0, '/srv'); from graders.sandbox_runner import main; main()"


class Unavailable(Exception):
    """There is no full sandbox; the message says why."""


def missing() -> str | None:
    """Why there is no full sandbox on this machine; None where there is one."""
    try:
        _tried()
    except Unavailable as why:
        return str(why)
    return None


@lru_cache
def _tried() -> None:
    """Launch one, once a process; what has failed is tried again. Raises Unavailable."""
    if not seccomp.SUPPORTED:
        raise Unavailable("its filter of system calls is written for Linux on x86-64")
    if shutil.which("bwrap") is None:
        raise Unavailable("bubblewrap is not installed")
    try:
        done = _launch({"samples": []}, seconds=START_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"bubblewrap does not start within {START_SECONDS:.0f} s") from None
    if done.returncode != 0:
        complaint = done.stderr.decode(errors="replace").strip()[:MOST_TOLD]
        raise Unavailable(f"bubblewrap may not work here: {complaint}")


def full(grader: PythonGrader, samples: Sequence[Sample], *, memory: int = MEMORY) -> list[Outcome]:
    """Raises nothing: what goes wrong is in the outcomes."""
    if (why := missing()) is not None:
        return [_server_error("unavailable", f"sandbox: 'full' is not possible here: {why}") for _ in samples]
    task = {
        "source": grader.source,
        "samples": [{"sample": sample.names, "item": sample.item} for sample in samples],
        "seconds": grader.timeout_seconds,
        "memory": memory,
        "packages": packages(),
    }
    try:
        done = _launch(task, seconds=START_SECONDS + grader.timeout_seconds * len(samples))
    except subprocess.TimeoutExpired:
        return [_server_error("timeout", "source: the sandbox did not end in time") for _ in samples]
    found = [json.loads(line) for line in done.stdout.splitlines()[: len(samples)]]
    outcomes = [_outcome(answer) for answer in found]
    lost = f"source: the sandbox ended with status {done.returncode}"
    return outcomes + [_server_error("crashed", lost) for _ in samples[len(outcomes) :]]


def _outcome(answer: dict[str, Any]) -> Outcome:
    try:
        return Outcome(checked(answer["value"])) if "value" in answer else runtime_error(answer["error"]).outcome()
    except Failure as failure:
        return failure.outcome()


def checked(value: float) -> float:
    """A reward that can be reckoned with. Raises Failure where it is none."""
    if not -1e30 < value < 1e30:
        raise runtime_error(f"grade answered {value:g}, which is no usable number")
    return float(value)


def runtime_error(words: str) -> Failure:
    """A fault of the user's code."""
    return Failure("python_grader_runtime_error", f"source: {words}", python_grader_runtime_error_details=words)


def _server_error(kind: str, words: str) -> Outcome:
    return Failure("python_grader_server_error", words, python_grader_server_error_type=kind).outcome()


def packages() -> list[str]:
    """The folders of the packages that a grader may import."""
    paths = sysconfig.get_paths()
    return sorted({paths["purelib"], paths["platlib"]})


def command(filter_descriptor: int) -> list[str]:
    """What to start. The filter is read from that descriptor."""
    home = Path(graders.__path__[0])
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    shown = dict.fromkeys(["/usr", *packages(), sys.base_prefix])
    binds = [part for path in shown for part in ("--ro-bind", path, path)]
    # Of a merged /usr these are links into it, of an older one folders.
    for path in ("/lib", "/lib64", "/bin"):
        if os.path.islink(path):
            binds += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            binds += ["--ro-bind", path, path]
    binds += [part for name in OURS for part in ("--ro-bind", str(home / name), f"/srv/graders/{name}")]
    return [
        "bwrap",
        *("--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"),
        *("--clearenv", "--new-session", "--die-with-parent", "--hostname", "grader"),
        *binds,
        *("--dev-bind", "/dev/null", "/dev/null", "--remount-ro", "/", "--chdir", "/"),
        *("--seccomp", str(filter_descriptor)),
        *("--setenv", "OPENBLAS_NUM_THREADS", "1", "--setenv", "OMP_NUM_THREADS", "1"),
        *("--", str(python), "-I", "-S", "-c", MAIN),
    ]


def _launch(task: dict[str, Any], *, seconds: float) -> subprocess.CompletedProcess[bytes]:
    """Raises subprocess.TimeoutExpired; the whole sandbox is dead then, as its first process is."""
    program, end = os.pipe()
    os.write(end, seccomp.LAUNCH)  # a pipe holds it all
    os.close(end)
    try:
        return subprocess.run(
            command(program),
            input=json.dumps(task).encode(),
            capture_output=True,
            timeout=seconds,
            pass_fds=[program],
            check=False,
        )
    finally:
        os.close(program)
