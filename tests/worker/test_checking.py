"""The child that validates files: what it answers, and what it survives."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pyarrow
import pyarrow.parquet
import pytest

from core.rows.jsonl import LONGEST_LINE
from core.rows.sketch import Sketch
from tests.core.rows.files import Row, jsonl, parquet, write
from tests.stack import eventually
from worker.checking import Interrupted, check

PAIR = {"prompt": "a", "completion": "b"}


def message(path: Path, name: str = "rows.jsonl") -> str:
    checked = check(path, name=name, stop=threading.Event())
    assert checked.sketch is None
    return checked.figures["faults"][0]["message"]


def test_a_good_file_gets_its_figures_and_a_sketch(tmp_path: Path) -> None:
    for content in (jsonl([PAIR] * 3), parquet([PAIR] * 3)):
        stop = threading.Event()
        checked = check(write(tmp_path, content), name="rows", stop=stop)
        assert (checked.figures["rows"], checked.figures["duplicates"]["exact"]) == (3, 2)
        assert len(Sketch.from_bytes(checked.sketch or b"").rows) == 1
        assert stop.is_set()


def test_what_is_quoted_of_a_file_holds_no_nul(tmp_path: Path) -> None:
    """PostgreSQL could not store it."""
    row = {"messages": [{"role": "user", "content": "a", "k\0ey": 1}, {"role": "a\0b", "content": "c"}]}
    checked = check(write(tmp_path, jsonl([row, {"pro\0mpt": "x"}])), name="rows.jsonl", stop=threading.Event())
    assert checked.figures["fault_count"] == 2
    assert "\\u0000" not in json.dumps(checked.figures)


def test_a_gzip_bomb_is_refused_early(tmp_path: Path) -> None:
    row = jsonl([{"prompt": "x" * 1_000_000, "completion": "y"}])
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(row) for _ in range(150)) + packer.flush()
    assert len(bomb) < 400_000
    assert message(write(tmp_path, bomb)).startswith("the gzip data grows to more than")


def test_an_endless_line_is_refused_early(tmp_path: Path) -> None:
    packer = zlib.compressobj(wbits=31)
    endless = packer.compress(b'{"prompt": "') + b"".join(packer.compress(b"x" * 2**20) for _ in range(64))
    for path in (write(tmp_path, endless + packer.flush()), sparse(tmp_path / "plain")):
        assert message(path) == f"longer than {LONGEST_LINE} bytes"


def sparse(path: Path) -> Path:
    """Two GiB without a line end; they take no room on the disk."""
    with path.open("wb") as file:
        file.write(b"{" + b"x" * 70_000)
        file.truncate(2 * 1024**3)
    return path


def test_json_that_is_nested_without_end_is_a_fault(tmp_path: Path) -> None:
    assert message(write(tmp_path, b'{"messages":' + b"[" * 4_000_000 + b"\n")).startswith("not valid JSON")


@pytest.mark.parametrize("value", [b"{},", b'{"":{"":{}}},', b"[[[[[]]]]],"])
def test_a_row_of_very_many_values_is_named(tmp_path: Path, value: bytes) -> None:
    """As many as fit into a line, and many times its size in memory."""
    good = jsonl([{"messages": [{"role": "assistant", "content": "x"}]}])
    huge = b'{"messages":[' + value * (4_190_000 // len(value)) + b"{}]}\n"
    checked = check(write(tmp_path, good + huge + good), name="rows.jsonl", stop=threading.Event())
    (fault,) = checked.figures["faults"]
    assert fault["line"] == 2
    assert fault["field"].startswith("messages[0]")


def test_a_parquet_bomb_is_refused(tmp_path: Path) -> None:
    """Its rows hold 400 GB, of which its metadata knows 4 MB: a value is counted once, however many rows have it."""
    value = pyarrow.array(["x" * 2_000_000])
    column = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 100_000, pyarrow.int32()), value)
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"prompt": column, "completion": column}), buffer)
    assert len(buffer.getvalue()) < 20_000_000
    assert message(write(tmp_path, buffer.getvalue())).startswith("the Parquet data grows to more than")


def test_parquet_that_is_damaged_anywhere_gets_a_verdict(tmp_path: Path) -> None:
    """Also where the damage is a size, so that the reader asks for more memory than there is, and aborts."""
    whole = parquet([PAIR] * 50)
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    verdicts = 0
    for at in [*range(4, 14), *range(footer, len(whole) - 8, 40)]:
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        checked = check(write(tmp_path, bytes(damaged)), name="rows.parquet", stop=threading.Event())
        verdicts += bool(checked.figures["faults"])
    assert verdicts >= 10


def test_the_child_sees_no_secrets_and_is_killed_when_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNESMITH_S3_SECRET_ACCESS_KEY", "secret")
    stop = threading.Event()
    waits = tmp_path / "rows"
    os.mkfifo(waits)
    ended: list[BaseException] = []

    def run() -> None:
        try:
            check(waits, name="rows", stop=stop)
        except Interrupted as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    child = eventually(lambda: running(waits), seconds=20, what="the child runs")
    environment = eventually(child.environ, seconds=20, what="it has its own environment")
    assert not [name for name in environment if name.startswith("TUNESMITH_")]
    assert os.getsid(child.pid) == child.pid
    stop.set()
    thread.join(20)
    assert len(ended) == 1
    assert not child.is_running()


def test_a_file_that_takes_too_much_processor_time_is_a_fault(tmp_path: Path) -> None:
    code = "import sys; from core.rows import check; check.CPU_SECONDS = 1; check.limit()\nwhile True: pass"
    path = write(tmp_path, jsonl([PAIR]))
    assert subprocess.run([sys.executable, "-c", code, str(path), "rows"], check=False).returncode == -signal.SIGXCPU
    waits = tmp_path / "waits"
    os.mkfifo(waits)
    with ThreadPoolExecutor() as pool:
        checked = pool.submit(check, waits, name="rows", stop=threading.Event())
        eventually(lambda: running(waits), seconds=20, what="the child runs").send_signal(signal.SIGXCPU)
        assert checked.result(20).figures["faults"][0]["message"] == "reading the file takes more time than is allowed"


def running(path: Path) -> psutil.Process | None:
    children = psutil.Process().children()
    return next((child for child in children if str(path) in child.cmdline()), None)


def test_the_child_dies_with_whoever_started_it(tmp_path: Path) -> None:
    waits = tmp_path / "rows"
    os.mkfifo(waits)
    script = (
        "import threading; from pathlib import Path; from worker.checking import check;"
        f"check(Path({str(waits)!r}), name='x', stop=threading.Event())"
    )
    worker = subprocess.Popen([sys.executable, "-c", script])
    child = eventually(lambda: next(iter(psutil.Process(worker.pid).children()), None), seconds=20, what="a child")
    worker.kill()
    worker.wait()
    assert child.wait(20) is None


# What the kernel counted since the program began: `ru_maxrss` would start with what the parent had.
MEMORY = """
import sys
from core.rows.survey import Survey
from core.rows.validate import validate
survey = Survey()
report = validate(sys.argv[1], survey=survey)
report.figures(), survey.sketch().to_bytes()
print(report.rows, next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize(
    ("text", "count", "format"),
    [
        ("x", 100_000, jsonl),
        ("a b " * 1_000_000, 3, jsonl),
        ("\u6c49\u5b57" * 600_000, 3, jsonl),
        ("@1" * 1_900_000, 3, jsonl),
        ("x", 100_000, parquet),
        ("a b " * 1_000, 5_000, parquet),
    ],
)
def test_memory_is_bounded_by_the_number_of_rows(
    tmp_path: Path, text: str, count: int, format: Callable[[list[Row]], bytes]
) -> None:
    answer = {"role": "assistant", "content": "y"}
    rows = [{"messages": [{"role": "user", "content": f"{text}{number}"}, answer]} for number in range(count)]
    assert memory(write(tmp_path, format(rows)), rows=count) <= 64 * 2**20 + 16 * count


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b"prompt,completion\n" + b",b\n" * 500_000, 500_000),
        (b"prompt,completion\n" + (b"x" * 4_000_000 + b",y\n") * 3, 3),
        (b'{"messages":[{"role":"assistant","content":"b"}]}\n' * 150_000, 150_000),
    ],
    ids=["short rows of CSV", "long rows of CSV", "short chats"],
)
def test_memory_is_bounded_whatever_the_length_of_rows(tmp_path: Path, content: bytes, count: int) -> None:
    assert memory(write(tmp_path, content), rows=count) <= 64 * 2**20 + 16 * count


def test_long_rows_of_parquet_with_json_in_text_are_decoded_one_by_one(tmp_path: Path) -> None:
    """All at once, these would take more than a gigabyte."""
    messages = [{"role": "user", "content": "x" * 2_000_000 + "\U0001f600"}, {"role": "assistant", "content": "y"}]
    table = pyarrow.table({"messages": [json.dumps(messages, ensure_ascii=False)] * 60})
    pyarrow.parquet.write_table(table, tmp_path / "rows", use_dictionary=False, compression="none")
    checked = check(tmp_path / "rows", name="a.parquet", stop=threading.Event())
    assert (checked.figures["rows"], checked.figures["faults"]) == (60, [])


def memory(path: Path, *, rows: int) -> int:
    """The most bytes that a validation takes of a file with so many rows."""
    command = [sys.executable, "-c", MEMORY, str(path)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    read, kibibytes = map(int, told.split())
    assert read == rows
    return kibibytes * 1024
