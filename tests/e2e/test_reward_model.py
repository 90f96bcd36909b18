"""Reward models through the whole stack: trained, continued, known by their kind, refused where a policy is wanted."""

import json
from pathlib import Path
from typing import Any

import pytest
from tunesmith import BadRequestError, Tunesmith, samples

from tests.conftest import ProjectKey
from tests.e2e.rows import upper_case, upper_case_preferred
from tests.stack import Stack

MODEL = "tiny-random-llama"
REWARD_MODEL: dict[str, Any] = {"max_steps": 4, "hyperparameters": {"batch_size": 4}}


def method(type: str, **options: Any) -> Any:
    return {"type": type, type: options}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_a_reward_model_follows_a_policy_and_is_none(
    stack: Stack, project: ProjectKey, repository_root: Path, tmp_path: Path
) -> None:
    examples = repository_root / "examples" / "support-rankings"
    (tmp_path / "chats.jsonl").write_bytes(upper_case(20, seed=0))
    (tmp_path / "pairs.jsonl").write_bytes(upper_case_preferred(20, seed=0))
    margins = [{"prompt": f"{i}", "chosen": "yes", "rejected": "no", "margin": 0.5} for i in range(8)]
    (tmp_path / "margins.jsonl").write_text("\n".join(map(json.dumps, margins)))
    with Tunesmith(base_url=f"{stack.url}/v1", api_key=project.key) as client:
        jobs = client.fine_tuning.jobs
        ranked, held_out, chats, pairs, margin = (
            client.files.create(file=path).id
            for path in (
                examples / "train.jsonl",
                examples / "validation.jsonl",
                *(tmp_path / f"{name}.jsonl" for name in ("chats", "pairs", "margins")),
            )
        )

        def train(model: str, file: str, how: Any, **more: Any) -> Any:
            job = jobs.wait(jobs.create(model=model, training_file=file, method=how, seed=1, **more).id, timeout=120)
            assert job.status == "succeeded"
            return job

        policy = train(MODEL, chats, method("supervised", max_steps=2))
        report = client.files.report(ranked)
        assert (report.kind, report.rows, report.fault_count) == ("ranking", 60, 0)
        how = method("reward_model", **REWARD_MODEL)
        job = train(policy.fine_tuned_model, ranked, how, validation_file=held_out)
        steps = [event.data for event in jobs.events.list(job.id) if event.type == "metrics"]
        assert len(steps) == 4
        assert {"train_accuracy", "train_margin", "train_score", "train_score_spread"} <= set(steps[0])
        last = max(steps, key=lambda data: data["step"])
        assert 0 <= last["valid_accuracy"] <= 1
        assert 0 <= last["valid_calibration_error"] <= 1
        jobs.artifacts.download(job.id, tmp_path / "out")
        compared = samples.load(tmp_path / "out" / "samples.jsonl")
        assert [[response.rank for response in row.responses] for row in compared] == [[1, 2, 2, 3]] * 16
        assert all(0 <= share <= 1 for share in samples.accuracy(compared))

        kinds = {model.id: model.kind for model in client.models.list()}
        assert (kinds[MODEL], kinds[policy.fine_tuned_model]) == ("policy", "policy")
        assert kinds[job.fine_tuned_model] == "reward_model"
        checkpoint = next(iter(jobs.checkpoints.list(job.id))).fine_tuned_model_checkpoint
        for name in (job.fine_tuned_model, checkpoint):
            assert client.models.retrieve(name).kind == "reward_model"
            for wrong, file in ((method("supervised"), chats), (method("dpo"), pairs)):
                with pytest.raises(BadRequestError, match=r"is a reward model, which scores.*a policy") as refused:
                    jobs.create(model=name, training_file=file, method=wrong)
                assert refused.value.param == "model"
        full = train(job.fine_tuned_model, pairs, method("reward_model", **REWARD_MODEL, weights="full"))
        adapter = train(full.fine_tuned_model, margin, how)
        assert client.models.retrieve(adapter.fine_tuned_model).kind == "reward_model"

        jobs.artifacts.download(full.id, tmp_path / "full")
        scorer = client.load_peft(adapter.fine_tuned_model, base=tmp_path / "full", folder=tmp_path / "adapter")
        assert type(scorer).__name__ == "PeftModelForSequenceClassification"
        assert scorer.config.pad_token_id is not None
        foretold = jobs.estimate(model=job.fine_tuned_model, training_file=ranked, validation_file=held_out, method=how)
        assert (foretold.steps, foretold.memory["logits_bytes"]) == (4, 0)
        shown = client.files.preview(ranked, model=job.fine_tuned_model, limit=1)
        assert [row.side for row in shown.data] == ["rank 1", "rank 2", "rank 2", "rank 3"]
        for file, wrong, words in (
            (chats, how, "learns from preference, prompt_chosen_rejected, margin, ranking"),
            (margin, method("dpo"), "method dpo learns from"),
        ):
            failed = jobs.create(model=MODEL, training_file=file, method=wrong)
            assert (failed.status, failed.error.param) == ("failed", "training_file")
            assert words in failed.error.message
        with pytest.raises(BadRequestError, match="not measured"):
            jobs.create(
                model=MODEL,
                training_file=ranked,
                validation_file=held_out,
                method=method("reward_model", keep_best="valid_reward_accuracy"),
            )
