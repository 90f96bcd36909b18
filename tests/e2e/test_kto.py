"""Feedback through the whole stack: validated, estimated, trained, and refused where it can't be learnt from."""

from pathlib import Path
from typing import Any

import pytest
from tunesmith import BadRequestError, Tunesmith

from tests.conftest import ProjectKey
from tests.e2e.rows import upper_case
from tests.stack import Stack

MODEL = "tiny-random-llama"
KTO: dict[str, Any] = {"max_steps": 4, "hyperparameters": {"batch_size": 4, "beta": 0.2}, "samples": {"rows": 0}}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_feedback_is_learnt_from_by_its_method_only(
    stack: Stack, project: ProjectKey, repository_root: Path, tmp_path: Path
) -> None:
    examples = repository_root / "examples" / "support-feedback"
    (tmp_path / "chats.jsonl").write_bytes(upper_case(20, seed=0))
    with Tunesmith(base_url=f"{stack.url}/v1", api_key=project.key) as client:
        jobs = client.fine_tuning.jobs
        feedback = client.files.create(file=examples / "train.jsonl").id
        held_out = client.files.create(file=examples / "validation.jsonl").id
        chats = client.files.create(file=tmp_path / "chats.jsonl").id
        method: Any = {"type": "kto", "kto": KTO}

        body: Any = {"model": MODEL, "training_file": feedback, "validation_file": held_out, "method": method}
        job = jobs.wait(jobs.create(**body, seed=1).id, timeout=120)
        assert job.status == "succeeded"
        report = client.files.report(feedback)
        assert (report.kind, report.rows, report.fault_count) == ("feedback", 80, 0)
        assert (job.hyperparameters["batch_size"], job.hyperparameters["beta"]) == (4, 0.2)
        events = list(jobs.events.list(job.id))
        assert any("15 of 80 rows are desirable" in event.message for event in events)
        steps = [event.data for event in events if event.type == "metrics"]
        assert jobs.estimate(**body).steps == len(steps) == 4
        last = max(steps, key=lambda data: data["step"])
        assert 0 <= last["valid_reward_accuracy"] <= 1
        assert not any(artifact.name.startswith("ref/") for artifact in jobs.artifacts.list(job.id))
        further = jobs.wait(jobs.create(**(body | {"model": job.fine_tuned_model})).id, timeout=120)
        assert further.status == "succeeded"

        assert [row.side for row in client.files.preview(feedback, model=MODEL, limit=1).data] == [None]
        supervised: Any = {"type": "supervised", "supervised": {"max_steps": 2}}
        for training_file, wrong in ((chats, method), (feedback, supervised)):
            failed = jobs.create(model=MODEL, training_file=training_file, method=wrong)
            assert failed.status == "failed"
            assert failed.error.param == "training_file"
        one: Any = {"type": "kto", "kto": {"hyperparameters": {"batch_size": 1}}}
        with pytest.raises(BadRequestError, match="batch_size"):
            jobs.create(model=MODEL, training_file=feedback, method=one)
