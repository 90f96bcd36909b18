"""Artifacts come from the store without the key, are verified, and are whole or not there."""

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest
from tunesmith import Tunesmith
from tunesmith.errors import APIConnectionError, DigestMismatch, TunesmithError, UnsafeName

from tests.sdk.conftest import Answer, Script

BYTES = b"weights" * 1000


def artifacts(script: Script, *names: str, **fields: Any) -> Answer:
    made = {
        "id": "art_1",
        "created_at": 1,
        "bytes": len(BYTES),
        "sha256": hashlib.sha256(BYTES).hexdigest(),
        "url": f"{script.url}/store/object?signature=secret",
        "url_expires_at": int(time.time()) + 3600,
        **fields,
    }
    return Answer(body={"object": "list", "data": [{**made, "name": name} for name in names], "has_more": False})


def test_the_key_stays_with_the_api(script: Script, client: Tunesmith, tmp_path: Path) -> None:
    script.say(artifacts(script, "adapter.safetensors", "tokenizer/vocab.json"), Answer(body=BYTES))
    paths = client.fine_tuning.jobs.artifacts.download("ftjob-1", tmp_path / "out")
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "out/adapter.safetensors",
        "out/tokenizer/vocab.json",
    ]
    assert {path.read_bytes() for path in paths} == {BYTES}
    assert script.received[0].headers["authorization"] == "Bearer tsk-secret"
    for request in script.received[1:]:
        assert request.path == "/store/object?signature=secret"
        assert "tsk-secret" not in str(request.headers)


@pytest.mark.parametrize("body", [BYTES[:-1], BYTES + b"x", BYTES[:-1] + b"X"], ids=["short", "long", "flipped"])
def test_other_bytes_leave_the_old_file(script: Script, client: Tunesmith, tmp_path: Path, body: bytes) -> None:
    (tmp_path / "a.bin").write_bytes(b"from before")
    script.say(artifacts(script, "a.bin"), Answer(body=body))
    with pytest.raises(DigestMismatch, match=r"a\.bin"):
        client.fine_tuning.jobs.artifacts.download("ftjob-1", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"from before"


def test_a_download_goes_on_where_it_broke_off(script: Script, client: Tunesmith, tmp_path: Path) -> None:
    listed = artifacts(script, "a.bin")
    script.say(listed, Answer(body=BYTES[:100], cut=True))
    with pytest.raises(APIConnectionError) as caught:
        client.fine_tuning.jobs.artifacts.download("ftjob-1", tmp_path)
    assert "secret" not in str(caught.value)
    (part,) = tmp_path.iterdir()
    assert (part.suffix, part.read_bytes()) == (".part", BYTES[:100])

    rest = Answer(206, BYTES[100:], {"content-range": f"bytes 100-{len(BYTES) - 1}/{len(BYTES)}"})
    script.say(listed, rest)
    client.fine_tuning.jobs.artifacts.download("ftjob-1", tmp_path)
    assert script.received[-1].headers["range"] == "bytes=100-"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == BYTES

    script.say(listed, Answer(500))
    client.fine_tuning.jobs.artifacts.download("ftjob-1", tmp_path)  # it is there: nothing is fetched


def test_a_server_without_ranges_sends_it_all_again(script: Script, client: Tunesmith, tmp_path: Path) -> None:
    script.say(artifacts(script, "a.bin"), Answer(body=BYTES[:100], cut=True), Answer(body=BYTES))
    client.fine_tuning.jobs.artifacts.download("ftjob-1", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == BYTES


@pytest.mark.parametrize("name", ["../a", "/etc/a", "a/../../b", "a\\b", "a\0b", "", "a//b", ".", "outside/a"])
def test_names_that_lead_out_are_refused(script: Script, client: Tunesmith, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "outside").symlink_to(tmp_path)
    script.say(artifacts(script, "fine.bin", name), Answer(body=BYTES))
    with pytest.raises(UnsafeName):
        client.fine_tuning.jobs.artifacts.download("ftjob-1", folder)
    assert len(script.received) == 1
    assert {path.name for path in tmp_path.rglob("*")} == {"folder", "outside"}


def test_a_link_that_is_about_to_expire_is_asked_for_anew(script: Script, client: Tunesmith, tmp_path: Path) -> None:
    old = artifacts(script, "a.bin", url=f"{script.url}/old", url_expires_at=int(time.time()) + 5)
    script.say(old, artifacts(script, "a.bin"), Answer(body=BYTES))
    client.fine_tuning.jobs.artifacts.download("ftjob-1", tmp_path)
    assert "/old" not in [request.path for request in script.received]


def test_what_is_not_there(script: Script, client: Tunesmith, tmp_path: Path) -> None:
    script.say(artifacts(script, "a.bin"))
    with pytest.raises(TunesmithError, match=r"has no artifact 'b\.bin'"):
        client.fine_tuning.jobs.artifacts.download("ftjob-1", tmp_path, names=["b.bin"])
    script.say(artifacts(script))
    with pytest.raises(TunesmithError, match="has no artifacts"):
        client.fine_tuning.jobs.artifacts.download("ftjob-1", tmp_path)
