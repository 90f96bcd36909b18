from pathlib import Path

import pytest

from worker.devices import gpus
from worker.forkserver import ALLOWED, keep_only_allowed

NVIDIA_SMI = """#!/bin/sh
echo "GPU 0: NVIDIA H200 (UUID: GPU-1)"
echo "GPU 1: NVIDIA H200 (UUID: GPU-2)"
"""


@pytest.mark.parametrize(("visible", "expected"), [("", []), ("0", [0]), ("2,5", [2, 5]), ("-1", [])])
def test_what_the_operator_allows(monkeypatch: pytest.MonkeyPatch, visible: str, expected: list[int]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus() == expected


def test_a_uuid_is_refused_aloud(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932f937,1")
    assert gpus() == [1]
    assert "GPU-8932f937 left unused" in caplog.text


def test_what_the_driver_lists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", "/bin")
    assert gpus() == []
    (tmp_path / "nvidia-smi").write_text(NVIDIA_SMI)
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert gpus() == [0, 1]


def test_a_trainer_inherits_no_secret() -> None:
    environment = {"PATH": "/bin", "TUNESMITH_DATABASE_URL": "x", "AWS_SECRET_ACCESS_KEY": "x", "HF_TOKEN": "x"}
    keep_only_allowed(environment)
    assert environment["PATH"] == "/bin"
    assert "x" not in environment.values()
    assert not [name for name in ALLOWED if "KEY" in name or "TOKEN" in name or name.startswith("TUNESMITH")]
