"""Preferences through the whole stack: validated, estimated, trained, and refused where they can't be learnt from."""

from pathlib import Path
from typing import Any

import pytest
from tunesmith import BadRequestError, Tunesmith

from tests.conftest import ProjectKey
from tests.e2e.rows import upper_case
from tests.stack import Stack

MODEL = "tiny-random-llama"
DPO: dict[str, Any] = {"max_steps": 4, "hyperparameters": {"batch_size": 4, "beta": 0.2}, "samples": {"rows": 0}}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_preferences_follow_supervised_fine_tuning(
    stack: Stack, project: ProjectKey, repository_root: Path, tmp_path: Path
) -> None:
    examples = repository_root / "examples" / "support-preferences"
    (tmp_path / "chats.jsonl").write_bytes(upper_case(20, seed=0))
    with Tunesmith(base_url=f"{stack.url}/v1", api_key=project.key) as client:
        jobs = client.fine_tuning.jobs
        pairs = client.files.create(file=examples / "train.jsonl").id
        held_out = client.files.create(file=examples / "validation.jsonl").id
        chats = client.files.create(file=tmp_path / "chats.jsonl").id
        method: Any = {"type": "dpo", "dpo": DPO}

        supervised: Any = {"type": "supervised", "supervised": {"max_steps": 2}}
        first = jobs.wait(jobs.create(model=MODEL, training_file=chats, method=supervised).id, timeout=120)
        report = client.files.report(pairs)
        assert (report.kind, report.rows, report.fault_count) == ("preference", 60, 0)
        body: Any = {"model": first.fine_tuned_model, "training_file": pairs, "validation_file": held_out}
        foretold = jobs.estimate(**body, method=method)
        job = jobs.wait(jobs.create(**body, method=method, seed=1).id, timeout=120)
        assert job.status == "succeeded"
        assert (job.hyperparameters["batch_size"], job.hyperparameters["beta"]) == (4, 0.2)
        steps = [event.data for event in jobs.events.list(job.id) if event.type == "metrics"]
        assert foretold.steps == len(steps) == 4
        assert {"train_reward_accuracy", "train_reward_margin", "train_chosen_reward"} <= set(steps[0])
        last = max(steps, key=lambda data: data["step"])
        assert 0 <= last["valid_reward_accuracy"] <= 1
        names = {artifact.name for artifact in jobs.artifacts.list(job.id)}
        assert "adapter_model.safetensors" in names
        assert not any(name.startswith("ref/") for name in names)
        further = jobs.wait(jobs.create(model=job.fine_tuned_model, training_file=pairs, method=method).id, timeout=120)
        assert further.status == "succeeded"

        shown = client.files.preview(pairs, model=MODEL, limit=1)
        assert [row.side for row in shown.data] == ["chosen", "rejected"]
        for training_file, wrong in ((chats, method), (pairs, supervised)):
            failed = jobs.create(model=MODEL, training_file=training_file, method=wrong)
            assert failed.status == "failed"
            assert failed.error.param == "training_file"
        with pytest.raises(BadRequestError, match=r"method\.dpo\.label_smoothing: given 0\.1, but it means nothing"):
            jobs.create(
                model=MODEL, training_file=pairs, method={"type": "dpo", "dpo": {"loss": "ipo", "label_smoothing": 0.1}}
            )
        with pytest.raises(BadRequestError, match="method"):
            jobs.create(model=MODEL, training_file=pairs, method={"type": "dpoo", "dpo": {}})
