"""Models with full weights as bases of later jobs, which are bases of later jobs."""

import json
from pathlib import Path
from typing import Any

import pytest
from tunesmith import BadRequestError, Tunesmith
from tunesmith.errors import TunesmithError

from tests.conftest import ProjectKey
from tests.e2e.rows import upper_case
from tests.stack import Stack

FULL: dict[str, Any] = {"weights": "full", "max_steps": 4, "optimization": {"learning_rate": 3e-3}}
ADAPTER: dict[str, Any] = {"max_steps": 2}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_jobs_start_from_full_weights_and_from_adapters_on_them(
    stack: Stack, project: ProjectKey, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_bytes(upper_case(30, seed=0))
    with Tunesmith(base_url=f"{stack.url}/v1", api_key=project.key) as client:
        rows = client.files.create(file=tmp_path / "rows.jsonl").id

        def train(model: str, supervised: dict[str, Any]) -> Any:
            method: Any = {"type": "supervised", "supervised": supervised}
            job = client.fine_tuning.jobs.create(model=model, training_file=rows, method=method, seed=1)
            job = client.fine_tuning.jobs.wait(job.id, timeout=120)
            assert job.fine_tuned_model is not None
            return job

        full = train("tiny-random-llama", FULL)
        assert client.models.retrieve(full.fine_tuned_model).weights == "full"
        checkpoint = next(iter(client.fine_tuning.jobs.checkpoints.list(full.id))).fine_tuned_model_checkpoint
        assert client.models.retrieve(checkpoint).weights == "full"
        train(checkpoint, ADAPTER)
        adapter = train(full.fine_tuned_model, ADAPTER)
        assert client.models.retrieve(adapter.fine_tuned_model).weights == "adapter"
        assert client.models.delete(full.fine_tuned_model).deleted  # what stands on it keeps it
        with pytest.raises(BadRequestError, match="no model"):
            client.fine_tuning.jobs.create(model=full.fine_tuned_model, training_file=rows)
        continued = train(adapter.fine_tuned_model, ADAPTER)
        merged = train(continued.fine_tuned_model, {**FULL, "max_steps": 1})

        for job in (adapter, continued):
            client.fine_tuning.jobs.artifacts.download(job.id, tmp_path / job.id)
            config = json.loads((tmp_path / job.id / "adapter_config.json").read_text())
            assert config["base_model_name_or_path"] == full.fine_tuned_model
        assert [job.base_model for job in (full, adapter, continued, merged)] == ["tiny-random-llama"] * 4

        names = {artifact.name for artifact in client.fine_tuning.jobs.artifacts.list(full.id)}
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
        client.fine_tuning.jobs.artifacts.download(full.id, tmp_path / "full")
        tuned = client.load_peft(adapter.fine_tuned_model, base=tmp_path / "full", folder=tmp_path / "adapter")
        assert any("lora_B" in name for name, _ in tuned.named_parameters())
        with pytest.raises(TunesmithError, match="full weights"):
            client.load_peft(merged.fine_tuned_model)
