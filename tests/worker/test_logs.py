"""What a job's owner gets to read of its trainer's output."""

import json
import time
from pathlib import Path

import psutil
import pytest

from worker import logs
from worker.cost import CostMeter
from worker.logs import CHUNK, TAIL, LogReader, masks


def drain(reader: LogReader, *, final: bool = False) -> list[str]:
    texts: list[str] = []
    while chunk := reader.read(final=final):
        texts.append(chunk.text)
        reader.offset = chunk.end
    return texts


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run" / "log.txt"


@pytest.fixture
def reader(log: Path, tmp_path: Path) -> LogReader:
    log.parent.mkdir()
    return LogReader(log, masked=masks(run_dir=log.parent, work_dir=tmp_path), most=128 * 1024)


def test_whole_lines_as_they_come_and_the_rest_at_the_end(log: Path, reader: LogReader) -> None:
    assert drain(reader) == []
    with log.open("ab") as file:
        for piece, expected in ((b"one\ntw", ["one\n"]), (b"o\nthree", ["two\n"]), (b"", [])):
            file.write(piece)
            file.flush()
            assert drain(reader) == expected
    assert drain(reader, final=True) == ["three"]


def test_of_a_long_log_the_beginning_and_the_end(log: Path, reader: LogReader) -> None:
    lines = [f"line {i:06d} {'x' * 50}\n" for i in range(20_000)]
    log.write_text("".join(lines))
    head = "".join(drain(reader))
    assert 64 * 1024 <= len(head) <= 64 * 1024 + CHUNK
    tail = "".join(drain(reader, final=True))
    note, _, rest = tail.partition("\n")
    assert note == f"[{log.stat().st_size - len(head) - len(rest)} bytes left out]"
    assert TAIL - len(lines[0]) < len(rest) <= TAIL
    assert rest.startswith("line ")  # a whole one: half of a path would not be masked
    assert rest.endswith(lines[-1])
    assert "".join(lines).startswith(head)


def test_paths_of_the_host_and_bytes_that_are_no_text(log: Path, reader: LogReader, tmp_path: Path) -> None:
    import torch

    named = (f"{log.parent}/spec.json", f"{tmp_path}/cache", torch.__file__, __file__, json.__file__)
    log.write_bytes(" ".join(named).encode() + b"\n\xff\0 z\n")
    text = "".join(drain(reader))
    assert text.startswith("<run>/spec.json <work>/cache <python>/lib")
    assert "<server>/tests/worker/test_logs.py <base python>/lib" in text
    assert text.endswith("\ufffd\ufffd z\n")


def test_a_line_without_an_end_is_cut_between_characters(log: Path, reader: LogReader) -> None:
    line = "a" + "€" * CHUNK
    log.write_text(line)
    texts = drain(reader, final=True)
    assert "".join(texts) == line
    assert len(texts) > 1


def test_cpu_seconds_are_those_that_the_process_spent() -> None:
    meter = CostMeter(gpus=2)
    before = psutil.Process().cpu_times()
    deadline = time.process_time() + 0.3
    while time.process_time() < deadline:
        pass
    meter.sample(psutil.Process().pid)
    meter.sample(2**22 + 1)  # a process that is gone takes nothing away
    cost = meter.cost()
    assert cost.cpu_seconds >= before.user + before.system + 0.2
    assert cost.gpu_seconds >= 2 * 0.3


def test_an_endless_log_takes_little_of_the_disk(log: Path, reader: LogReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LONGEST", 1024**2)
    lines = [f"line {i:06d} {'x' * 50}\n" for i in range(100_000)]
    texts: list[str] = []
    with log.open("ab", buffering=0) as file:
        for at in range(0, len(lines), 1000):
            file.write("".join(lines[at : at + 1000]).encode())
            texts += drain(reader)
            assert log.stat().st_size < 1024**2 + 100_000
    head = "".join(texts)
    note, _, rest = "".join(drain(reader, final=True)).partition("\n")
    assert "".join(lines).startswith(head)
    assert len(head) >= 64 * 1024
    assert rest.startswith("line ")
    assert rest.endswith(lines[-1])
    assert note == f"[{len(''.join(lines)) - len(head) - len(rest)} bytes left out]"
