"""Reinforcement through the whole stack: the contract's client, reward models in a chain, graders that ask a model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from tunesmith import JobFailedError, Tunesmith

from tests.conftest import ProjectKey
from tests.e2e.rows import upper_case, upper_case_asked, upper_case_preferred
from tests.e2e.test_openai import finish, upload
from tests.model_server import ModelServer, model_server
from tests.stack import Stack, eventually

MODEL = "tiny-random-llama"
KEY = "sk-of-the-operator-alone"
ALIKE = {
    "type": "text_similarity",
    "name": "alike",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.answer }}",
    "evaluation_metric": "fuzzy_match",
}
SHORT: dict[str, Any] = {"max_steps": 4, "max_completion_tokens": 8}


def test_the_contracts_client_runs_a_reinforcement_job(
    openai: OpenAI, stack: Stack, project: ProjectKey, tmp_path: Path
) -> None:
    training = upload(openai, "train.jsonl", upper_case_asked(40, seed=1))
    held_out = upload(openai, "valid.jsonl", upper_case_asked(8, seed=2))
    job = openai.fine_tuning.jobs.create(
        model=MODEL,
        training_file=training,
        validation_file=held_out,
        seed=1,
        method={
            "type": "reinforcement",
            "reinforcement": {
                "grader": ALIKE,  # pyright: ignore[reportArgumentType]
                "hyperparameters": {
                    "n_epochs": 1,
                    "batch_size": 4,
                    "compute_multiplier": 0.5,
                    "eval_interval": 5,
                    "eval_samples": 2,
                    "reasoning_effort": "low",
                },
            },
        },
    )
    done = finish(openai, job.id)
    assert done.status == "succeeded", done.error
    assert done.method is not None
    assert done.method.reinforcement is not None
    assert done.method.reinforcement.hyperparameters is not None
    assert done.method.reinforcement.hyperparameters.batch_size == 4
    metrics = [e.data for e in openai.fine_tuning.jobs.list_events(job.id, limit=100) if e.type == "metrics"]
    steps: list[Any] = sorted(metrics, key=lambda data: data["step"])
    assert [data["step"] for data in steps] == list(range(1, 11))
    assert {"train_reward_mean", "train_mean_reward"} <= set(steps[0])
    assert [data["step"] for data in steps if "valid_reward_mean" in data] == [5, 10]
    last = steps[-1]
    rewards = {"train_reward_mean": last["train_reward_mean"], "valid_reward_mean": last["valid_reward_mean"]}
    assert last["scores"] == {"graders": [{"name": "grader", **rewards}], **rewards}
    assert last["timing"]["step"]["full_iteration"] > last["timing"]["step"]["sampling"] > 0
    assert last["usage"]["samples"]["train_completion_tokens_mean"] == last["completion_tokens_mean"]
    assert last["errors"]["graders"][0]["train_other_error_count"] == 0

    with Tunesmith(base_url=f"{stack.url}/v1", api_key=project.key) as client:
        assert client.files.report(training).keys == ["answer"]
        rollouts = list(client.fine_tuning.jobs.rollouts.list(job.id, limit=100))
        assert len(rollouts) == 10 * 4 * 4  # all: fewer than are kept
        assert [rollout.step for rollout in rollouts] == sorted((r.step for r in rollouts), reverse=True)
        asked = [json.loads(line) for line in upper_case_asked(40, seed=1).splitlines()]
        assert all(rollout.prompt == asked[rollout.row]["messages"] for rollout in rollouts)
        best = next(iter(client.fine_tuning.jobs.rollouts.list(job.id, order_by="reward", limit=1)))
        assert best.reward == max(rollout.reward for rollout in rollouts)
        (path,) = client.fine_tuning.jobs.artifacts.download(job.id, tmp_path, names=["rollouts.jsonl"])
        assert len(path.read_text().splitlines()) == len(rollouts)


def test_a_policy_learns_from_reward_models_that_were_trained_here(
    stack: Stack, project: ProjectKey, tmp_path: Path
) -> None:
    """On adapters and on whole models; and rollouts are there while the job runs."""
    for name, rows in (
        ("chats", upper_case(20, seed=0)),
        ("pairs", upper_case_preferred(20, seed=0)),
        ("prompts", upper_case_asked(20, seed=0)),
    ):
        (tmp_path / f"{name}.jsonl").write_bytes(rows)
    with Tunesmith(base_url=f"{stack.url}/v1", api_key=project.key) as client:
        jobs = client.fine_tuning.jobs
        files = {
            name: client.files.create(file=tmp_path / f"{name}.jsonl").id for name in ("chats", "pairs", "prompts")
        }

        def train(model: str, file: str, type: str, **options: Any) -> Any:
            method: Any = {"type": type, type: {"max_steps": 2, **options}}
            job = jobs.create(model=model, training_file=files[file], method=method, seed=1)
            return jobs.wait(job.id, timeout=180)

        whole = train(MODEL, "chats", "supervised", weights="full").fine_tuned_model
        policy = train(whole, "chats", "supervised").fine_tuned_model
        on_base = train(MODEL, "pairs", "reward_model").fine_tuned_model
        on_whole = train(whole, "pairs", "reward_model").fine_tuned_model
        alone = train(whole, "pairs", "reward_model", weights="full").fine_tuned_model
        for start, scorers in ((policy, [on_base, on_whole, alone]), (MODEL, [on_base])):
            job = train(start, "prompts", "ppo", **SHORT, reward_models=scorers, hyperparameters={"batch_size": 4})
            assert job.method["ppo"]["reward_models"] == scorers
            rollouts = list(jobs.rollouts.list(job.id))
            assert rollouts
            scored = {name for name in rollouts[0].rewards if name.startswith("reward_model")}
            assert len(scored) == len(scorers)
            model = client.models.retrieve(job.fine_tuned_model)
            assert (model.kind, model.weights) == ("policy", "adapter")
            further = train(model.id, "chats", "supervised")
            assert further.status == "succeeded"


def test_a_prompt_that_is_too_long_fails_its_job_before_anybody_trains(
    stack: Stack, project: ProjectKey, tmp_path: Path
) -> None:
    rows = [json.loads(line) for line in upper_case_asked(20, seed=0).splitlines()]
    rows[11]["messages"][0]["content"] *= 30
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    method: Any = {"type": "reinforcement", "reinforcement": {"grader": ALIKE, "max_length": 60, **SHORT}}
    with Tunesmith(base_url=f"{stack.url}/v1", api_key=project.key, max_retries=10) as client:
        jobs, file_id = client.fine_tuning.jobs, client.files.create(file=tmp_path / "prompts.jsonl").id
        client.files.wait_for_processing(file_id)
        jobs.estimate(model=MODEL, training_file=file_id, method=method)  # repeated until the model's card is there
        with pytest.raises(JobFailedError) as failed:
            jobs.wait(jobs.create(model=MODEL, training_file=file_id, method=method).id, timeout=60)
        job = failed.value.job
        assert job.error is not None
        assert (job.error.code, job.error.param) == ("invalid_file", "training_file")
        assert job.error.message.startswith("training_file: line 12: has ")
        assert "60 are left for a prompt" in job.error.message
        assert list(jobs.attempts.list(job.id)) == []
        said = [event.message for event in jobs.events.list(job.id)]
        assert not any("queued" in message for message in said)


@pytest.fixture
def judged(stack: Stack) -> Iterator[ModelServer]:
    """The stack's API and train worker know a server of models for graders, whose key is KEY."""
    with model_server() as models:
        restart(stack, TUNESMITH_GRADER_MODEL_URL=models.url, TUNESMITH_GRADER_MODEL_KEY=KEY)
        yield models
    restart(stack)


def restart(stack: Stack, **env: str) -> None:
    for name in ("api", "train"):
        stack.children[name].stop(30)
        stack.start(name, **env)


def test_a_grader_asks_a_model_through_the_supervisor(
    stack: Stack, judged: ModelServer, openai: OpenAI, tmp_path: Path
) -> None:
    judge = {
        "type": "score_model",
        "name": "judge",
        "model": "judge-1",
        "input": [{"role": "user", "content": "Is {{ sample.output_text }} {{ item.answer }}?"}],
    }
    training = upload(openai, "train.jsonl", upper_case_asked(40, seed=1))
    options = {**SHORT, "max_steps": 200, "grader": judge, "group_size": 2, "hyperparameters": {"batch_size": 2}}
    job = openai.fine_tuning.jobs.create(
        model=MODEL,
        training_file=training,
        seed=1,
        method={"type": "reinforcement", "reinforcement": options},  # pyright: ignore[reportArgumentType]
    )
    eventually(lambda: judged.received, seconds=120, what="the first question")
    (trainer,) = stack.trainers()
    environment = trainer.environ()
    (run_dir,) = (stack.folder / "work" / "runs").iterdir()
    spec = json.loads((run_dir / "spec.json").read_text())
    openai.fine_tuning.jobs.cancel(job.id)
    assert {key for _, key, _ in judged.received} == {f"Bearer {KEY}"}
    assert {body["model"] for _, _, body in judged.received} == {"judge-1"}
    assert "PATH" in environment
    assert KEY not in json.dumps(environment)
    assert KEY not in json.dumps(spec)
    socket = Path(spec["asking"])
    assert not socket.is_relative_to(run_dir)
    eventually(lambda: not socket.parent.exists(), seconds=30, what="the socket goes with the attempt")
    assert all(KEY not in path.read_text(errors="replace") for path in (stack.folder / "logs").iterdir())


def test_a_grader_that_always_fails_ends_the_job_with_its_error(openai: OpenAI) -> None:
    broken = {"type": "python", "name": "p", "source": "def grade(sample, item):\n    return item['nothing']\n"}
    training = upload(openai, "train.jsonl", upper_case_asked(20, seed=1))
    options = {**SHORT, "grader": broken, "group_size": 2, "hyperparameters": {"batch_size": 2}}
    job = openai.fine_tuning.jobs.create(
        model=MODEL,
        training_file=training,
        seed=1,
        method={"type": "reinforcement", "reinforcement": options},  # pyright: ignore[reportArgumentType]
    )
    failed = finish(openai, job.id)
    assert failed.error is not None
    assert (failed.status, failed.error.param) == ("failed", "method.reinforcement.grader")
    assert failed.error.code == "grader_failed"
    assert "max_failed_gradings" in failed.error.message
    assert "nothing" in failed.error.message
