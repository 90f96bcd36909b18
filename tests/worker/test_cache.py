import errno
import fcntl
import hashlib
import os
import threading
from pathlib import Path

import pytest

from core.storage import Entry
from tests.disks import small_disk
from worker.cache import Cache


def entry(content: bytes) -> Entry:
    return Entry("rows.jsonl", len(content), hashlib.sha256(content).hexdigest())


class Source:
    """Counts how often it is asked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.times = 0

    def __call__(self, path: Path) -> None:
        self.times += 1
        path.write_bytes(self.content)


def test_a_file_is_fetched_once(tmp_path: Path) -> None:
    cache, source = Cache(tmp_path / "cache", max_bytes=100), Source(b"rows")
    for run in ("a", "b"):
        cache.link_file(entry(b"rows"), tmp_path / run / "rows.jsonl", fetch=source)
        assert (tmp_path / run / "rows.jsonl").read_bytes() == b"rows"
    assert source.times == 1


def test_bytes_that_have_changed_on_disk_are_fetched_again(tmp_path: Path) -> None:
    cache, source = Cache(tmp_path / "cache", max_bytes=100), Source(b"rows")
    cache.link_file(entry(b"rows"), tmp_path / "a", fetch=source)
    cached = next((tmp_path / "cache" / "files").iterdir())
    cached.write_bytes(b"rowz")
    cache.link_file(entry(b"rows"), tmp_path / "b", fetch=source)
    assert (source.times, (tmp_path / "b").read_bytes()) == (2, b"rows")


def test_the_least_recently_used_goes_and_its_user_keeps_it(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", max_bytes=10)
    sources = {name: Source(name.encode() * 4) for name in "abc"}
    for age, name in enumerate(("a", "b")):
        cache.link_file(entry(sources[name].content), tmp_path / name, fetch=sources[name])
        os.utime(tmp_path / name, (age, age))
    cache.link_file(entry(sources["a"].content), tmp_path / "a2", fetch=sources["a"])  # now b is the oldest
    cache.link_file(entry(sources["c"].content), tmp_path / "c", fetch=sources["c"])
    kept = {path.read_bytes() for path in (tmp_path / "cache" / "files").iterdir()}
    assert kept == {b"aaaa", b"cccc"}
    assert (tmp_path / "b").read_bytes() == b"bbbb"


def test_what_is_larger_than_the_limit_is_used_all_the_same(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", max_bytes=1)
    cache.link_file(entry(b"large"), tmp_path / "a", fetch=Source(b"large"))
    assert (tmp_path / "a").read_bytes() == b"large"


def test_what_killed_processes_were_making_goes_and_what_is_being_made_stays(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cache = Cache(folder, max_bytes=100)
    dead, alive = folder / "files" / "dead.part-1", folder / "files" / "alive.part-1"
    for path in (dead, alive):
        path.write_bytes(b"half")
    (folder / "models" / "dead.partial").mkdir()
    with (folder / "locks" / "alive").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cache.link_file(entry(b"rows"), tmp_path / "a", fetch=Source(b"rows"))
    assert not dead.exists()
    assert alive.exists()
    assert list((folder / "models").iterdir()) == []


def test_a_model_whose_preparation_failed_is_not_there(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", max_bytes=100)

    def fails(folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        cache.link_model("key", tmp_path / "a", prepare=fails)
    assert not (tmp_path / "a").exists()

    def works(folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("whole")

    cache.link_model("key", tmp_path / "a", prepare=works)
    assert {path.name: path.read_text() for path in (tmp_path / "a").iterdir()} == {"config.json": "whole"}


def test_two_at_once_prepare_one_model(tmp_path: Path) -> None:
    times: list[int] = []
    together = threading.Barrier(2)

    def prepare(folder: Path) -> None:
        times.append(1)
        folder.mkdir()
        (folder / "weights").write_text("w")

    def link(name: str) -> None:
        cache = Cache(tmp_path / "cache", max_bytes=100)
        together.wait()
        cache.link_model("key", tmp_path / name, prepare=prepare)

    threads = [threading.Thread(target=link, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 1
    assert [(tmp_path / name / "weights").read_text() for name in ("a", "b")] == ["w", "w"]


def test_a_full_disk_is_made_room_on_before_anything_fails(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", megabytes=8) as disk:
        cache = Cache(disk / "cache", max_bytes=2**30)
        first, second = Source(b"a" * 5 * 2**20), Source(b"b" * 5 * 2**20)
        cache.link_file(entry(first.content), disk / "first", fetch=first)
        (disk / "first").unlink()
        cache.link_file(entry(second.content), disk / "second", fetch=second)
        assert second.times == 2
        assert (disk / "second").stat().st_size == 5 * 2**20
        third = Source(b"c" * 5 * 2**20)
        with pytest.raises(OSError, match="No space left"):  # the second one has a user
            cache.link_file(entry(third.content), disk / "third", fetch=third)


def test_a_full_disk_takes_nothing_from_who_is_making_or_linking(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cache = Cache(folder, max_bytes=100)
    cache.link_file(entry(b"held"), tmp_path / "a", fetch=Source(b"held"))
    tries: list[int] = []

    def full_once(path: Path) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(b"rows")

    with (folder / "locks" / entry(b"held").sha256).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cache.link_file(entry(b"rows"), tmp_path / "b", fetch=full_once)
    assert len(tries) == 2
    assert {path.read_bytes() for path in (folder / "files").iterdir()} == {b"held", b"rows"}
