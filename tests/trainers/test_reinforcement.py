"""Reinforcement: TRL's trainer to the last bit, on our prompts and graders; exact when resumed; nothing but the reward
is optimised."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import set_seed
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from core.rows import packing
from core.specs.graders import ReasoningGrader
from core.specs.reinforcement import Reinforcement
from core.specs.run import RunSpec
from tests.trainers.runs import adapter_digest, error, events, last_checkpoint, outcome, results, write_rows, write_spec
from trainers import reinforcement, weights
from trainers.adapters import still_reference
from trainers.answers import weights_of_parts
from trainers.loading import load_tokenizer
from trainers.run import run
from trainers.rundir import RunDir
from trainers.stopping import StopRequest

PROMPTS, BATCH, ANSWERS, STEPS = 12, 4, 6, 6
# Whatever a random model writes, it has more or fewer of them.
LETTERS = {
    "type": "python",
    "name": "letters",
    "source": "def grade(sample, item):\n    return sum(c.isalpha() for c in sample['output_text']) / item['of']\n",
}
LENGTH = {
    "type": "python",
    "name": "length",
    "source": "def grade(sample, item):\n    return float(len(sample['output_text']))\n",
}
BOTH = {
    "type": "multi",
    "name": "both",
    "graders": {"letters": LETTERS, "length": LENGTH},
    "calculate_output": "letters + 100 * length",
}
REINFORCEMENT: dict[str, Any] = {
    "grader": LETTERS,
    "group_size": ANSWERS,
    "max_completion_tokens": 12,
    "max_steps": STEPS,
    "hyperparameters": {"batch_size": BATCH},
    "optimization": {"learning_rate": 3e-3, "warmup": 0},
    "checkpoint_interval": 2,
    "samples": {"rows": 0},
    "rollouts_kept": 10_000,
}


def prompts(numbers: range) -> list[dict[str, Any]]:
    return [{"messages": [{"role": "user", "content": f"say {i}" + "!" * (i % 5)}], "of": 10 + i} for i in numbers]


@pytest.fixture
def train(tmp_path: Path, tiny: Path) -> Any:
    training_file = write_rows(tmp_path / "prompts.jsonl", prompts(range(PROMPTS)))

    def train(name: str, *, status: int = 0, options: dict[str, Any] | None = None, **fields: Any) -> Path:
        files = {"base": tiny, "training_file": training_file, **fields}
        folder = write_spec(tmp_path / name, reinforcement=REINFORCEMENT | (options or {}), **files)
        assert run(folder) == status
        return folder

    return train


def series(folder: Path, name: str) -> list[float]:
    return [event["data"][name] for event in events(folder, "metrics")]


def rollouts(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "artifacts/rollouts.jsonl").read_text().splitlines()]


def plain(folder: Path, tmp_path: Path, *, steps: int, **settings: Any) -> dict[str, torch.Tensor]:
    """The adapter that TRL's own trainer makes of the same prompts as messages, in the same order."""
    spec = RunSpec.model_validate_json((folder / "spec.json").read_bytes())
    rows = [json.loads(line) for line in Path(spec.training_file).read_text().splitlines()]
    order = reinforcement.dataset(len(rows), batch=BATCH, batches=steps, seed=spec.seed)["prompt"]

    def letters(completions: Any, of: list[int], **_: Any) -> list[float]:
        said = [completion[0]["content"].strip() for completion in completions]
        return [sum(c.isalpha() for c in text) / most for text, most in zip(said, of, strict=True)]

    set_seed(spec.seed)
    model = weights.start(spec)
    with still_reference(model):
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=letters,
            args=GRPOConfig(
                output_dir=str(tmp_path / "plain"),
                per_device_train_batch_size=BATCH * ANSWERS,
                max_steps=steps,
                num_generations=ANSWERS,
                max_completion_length=12,
                shuffle_dataset=False,
                learning_rate=3e-3,
                optim="adamw_torch",
                adam_beta2=0.95,
                seed=spec.seed,
                data_seed=spec.seed,
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                disable_dropout=True,
                report_to="none",
                save_strategy="no",
                **settings,
            ),
            train_dataset=Dataset.from_list(
                [{"prompt": rows[place]["messages"], "of": rows[place]["of"]} for place in order]
            ),
            processing_class=load_tokenizer(spec),
        )
    trainer.train()
    return get_peft_model_state_dict(model)


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({}, {"beta": 0.01, "epsilon_high": 0.28}),
        (
            {"loss": "grpo", "importance": "sequence", "updates": 2, "beta": 0, "clip_low": 0.001, "clip_high": 0.002},
            {"loss_type": "grpo", "importance_sampling_level": "sequence", "num_iterations": 2, "epsilon": 0.001}
            | {"epsilon_high": 0.002},
        ),
        (
            {"loss": "cispo", "clip_high": 0.5, "temperature": 0.8, "scale_rewards": "none", "mask_truncated": True},
            {"loss_type": "cispo", "epsilon_high": 1.5, "temperature": 0.8, "scale_rewards": "none", "beta": 0.01}
            | {"mask_truncated_completions": True},
        ),
    ],
    ids=["default", "gspo of two updates", "cispo"],
)
def test_the_adapter_is_that_of_trl(train: Any, tmp_path: Path, options: Any, settings: Any) -> None:
    folder = train("run", options=options)
    check_adapter(folder, plain(folder, tmp_path, steps=STEPS, **settings))


def check_adapter(folder: Path, theirs: dict[str, torch.Tensor]) -> None:
    ours = load_file(folder / "artifacts/adapter_model.safetensors")
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=0, atol=0)
    assert max(map(abs, series(folder, "train_loss"))) > 1e-4


@pytest.mark.parametrize("loss", ["dr_grpo", "bnpo", "sapo", "luspo", "vespo"])
def test_every_loss_is_that_of_trl(train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str) -> None:
    """In two steps on the same answers, of which the second is not at the policy that wrote them."""
    configs, configure = list[GRPOConfig](), reinforcement.configure
    monkeypatch.setattr(
        reinforcement, "configure", lambda *given, **named: configs.append(configure(*given, **named)) or configs[0]
    )
    importance = "sequence" if loss == "luspo" else "token"
    folder = train("run", options={"loss": loss, "importance": importance, "updates": 2, "max_steps": 2})
    how = {"loss_type": loss, "importance_sampling_level": importance, "num_iterations": 2}
    check_adapter(folder, plain(folder, tmp_path, steps=2, beta=0.01, epsilon_high=0.28, **how))
    if loss == "vespo":  # TRL refuses others beside vLLM
        assert configs[0].vllm_importance_sampling_mode in ("token_truncate", "token_mask")


@pytest.mark.parametrize("updates", [1, 2])
def test_a_resumed_run_has_the_same_rollouts_and_ends_with_the_same_bytes(
    train: Any, tmp_path: Path, updates: int
) -> None:
    options = {"lora": {"r": 8, "alpha": 16, "dropout": 0.1}, "updates": updates, "max_steps": 8}
    options |= {"group_size": 32, "rollouts_kept": 200}  # so that rollouts are thinned out after the resume
    validation_file = write_rows(tmp_path / "valid.jsonl", prompts(range(20, 24)))
    further = {"options": options, "validation_file": validation_file}
    undisturbed = train("undisturbed", **further)
    resumed = train("resumed", resume_from=undisturbed / "checkpoints/step-4", **further)
    assert events(resumed, "metrics")[0]["step"] == 5
    assert rollouts(resumed) == rollouts(undisturbed)
    groups = range(0, 32 // updates, 4 // updates)
    assert [rollout["number"] for rollout in rollouts(resumed)] == [32 * n + i for n in groups for i in range(32)]
    assert adapter_digest(resumed) == adapter_digest(undisturbed)
    assert results(resumed) == results(undisturbed)
    assert outcome(resumed)["trained_tokens"] == outcome(undisturbed)["trained_tokens"]


def test_checkpoints_lie_where_new_answers_are_sampled(train: Any) -> None:
    folder = train("run", options={"updates": 2, "checkpoint_interval": 3, "max_steps": 9})
    assert [event["step"] for event in events(folder, "checkpoint")] == [4, 6, 9]


def test_a_stop_waits_until_answers_are_used_up(
    train: Any, tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = train("undisturbed", options={"updates": 2})
    stop, step = StopRequest(), reinforcement.Trainer.training_step

    def asked_to_stop(trainer: Any, *args: Any) -> Any:
        stop.requested = stop.requested or trainer.state.global_step == 2
        return step(trainer, *args)

    monkeypatch.setattr(reinforcement.Trainer, "training_step", asked_to_stop)
    fields = json.loads((undisturbed / "spec.json").read_text())
    folder = write_spec(
        tmp_path / "stopped",
        base=tiny,
        training_file=fields["training_file"],
        reinforcement=fields["method"]["reinforcement"],
    )
    spec = RunSpec.model_validate_json((folder / "spec.json").read_bytes())
    result = reinforcement.train(spec, RunDir(folder), stop)
    assert (result.outcome, result.step) == ("stopped", 4)
    monkeypatch.undo()
    resumed = train("resumed", options={"updates": 2}, resume_from=last_checkpoint(folder))
    assert adapter_digest(resumed) == adapter_digest(undisturbed)
    assert rollouts(resumed) == rollouts(undisturbed)


@pytest.mark.parametrize("kind", ["adapter", "full"])
def test_the_reference_is_what_the_job_starts_from(train: Any, kind: str) -> None:
    first = train("first", options={"optimization": {"learning_rate": 0.03, "warmup": 0}})
    options = {"weights": kind, "beta": 0.1}
    second = train("second", start_adapter=first / "artifacts", options=options)
    assert series(first, "train_kl")[-1] > 1e-3  # so that beside the base it would have begun elsewhere
    assert series(second, "train_kl")[0] == pytest.approx(0, abs=1e-6)
    again = train(
        "again", start_adapter=first / "artifacts", options=options, resume_from=second / "checkpoints/step-2"
    )
    name = "adapter_model.safetensors" if kind == "adapter" else "model.safetensors"
    assert (again / "artifacts" / name).read_bytes() == (second / "artifacts" / name).read_bytes()
    assert not (second / "artifacts/ref").exists()


def by_group(found: list[dict[str, Any]], values: Any) -> torch.Tensor:
    """[groups, answers, …], of the answers of a step."""
    return torch.tensor([values(rollout) for rollout in found]).unflatten(0, (-1, ANSWERS))


def test_normalize_then_sum_lets_no_part_drown_the_others(train: Any) -> None:
    folder = train("run", options={"grader": BOTH, "aggregation": "normalize_then_sum"})
    step = [rollout for rollout in rollouts(folder) if rollout["step"] == 1]
    parts = by_group(step, lambda rollout: [rollout["rewards"][name] for name in ("letters", "length")])
    normalized = (parts - parts.mean(1, keepdim=True)) / (parts.std(1, keepdim=True) + 1e-4)
    summed = normalized.sum(-1)
    expected = (summed - summed.mean()) / (summed.std() + 1e-4)
    torch.testing.assert_close(by_group(step, lambda rollout: rollout["advantage"]), expected, rtol=1e-3, atol=1e-3)
    for rollout in step:
        assert rollout["reward"] == pytest.approx(rollout["rewards"]["letters"] + 100 * rollout["rewards"]["length"])


def test_the_parts_of_a_reasoning_reward_keep_their_weights() -> None:
    grader = {"type": "reasoning", "name": "r", "reference": "{{ item.answer }}", "weights": {"brevity": 0.4}}
    options = Reinforcement.model_validate({"grader": grader, "aggregation": "normalize_then_sum"})
    assert isinstance(options.grader, ReasoningGrader)
    assert weights_of_parts(options) == {"correctness": 1.0, "quality": 0.5, "brevity": 0.4}


def test_of_a_formulas_weights_the_signs_are_kept() -> None:
    """What it takes away is still taken away; how much each part weighs, their normalisation says."""
    grader = BOTH | {"calculate_output": "0.5 * letters - length / 100 + 3"}
    options = Reinforcement.model_validate({"grader": grader, "aggregation": "normalize_then_sum"})
    assert weights_of_parts(options) == {"letters": 1, "length": -1}


def test_what_is_watched_or_validated_changes_nothing(train: Any, tmp_path: Path) -> None:
    validation_file = write_rows(tmp_path / "valid.jsonl", prompts(range(20, 25)))
    alone = train("alone")
    eval_samples = {"batch_size": BATCH, "eval_samples": 3, "eval_interval": 2}
    watched = train(
        "watched", options={"watch": LENGTH, "hyperparameters": eval_samples}, validation_file=validation_file
    )
    assert adapter_digest(watched) == adapter_digest(alone)
    assert [rollout["completion"] for rollout in rollouts(watched)] == [
        rollout["completion"] for rollout in rollouts(alone)
    ]
    lengths = [len(rollout["completion"]) for rollout in rollouts(watched) if rollout["step"] == STEPS]
    assert series(watched, "train_watch_score_mean")[-1] == pytest.approx(sum(lengths) / len(lengths))
    validated = [event for event in events(watched, "metrics") if "valid_reward_mean" in event["data"]]
    assert [event["step"] for event in validated] == [2, 4, 6]
    for event in validated:
        names = ("valid_reward_mean", "valid_mean_reward", "full_valid_reward_mean", "full_valid_mean_reward")
        assert len({event["data"][name] for name in names}) == 1
        assert event["data"]["valid_watch_score_mean"] > 0


def test_all_of_an_event_are_numbers_under_the_contracts_names(train: Any) -> None:
    folder = train("run")
    for event in events(folder, "metrics"):
        data = event["data"]
        assert data["train_reward_mean"] == data["train_mean_reward"]
        assert {"completion_tokens_mean", "reasoning_tokens_mean", "train_kl", "train_entropy"} <= data.keys()
        assert {"train_clip_fraction", "train_truncated_share", "train_zero_variance_share"} <= data.keys()
        assert data["train_failed_gradings"] == 0
        assert event["message"].endswith(f": train mean reward={data['train_reward_mean']:.4g}")
        assert all(data[f"train_{what}_seconds"] > 0 for what in ("sampling", "grading", "training"))
        assert all(value is None or isinstance(value, int | float) for value in data.values())


def test_rollouts_are_what_was_optimised_and_as_many_of_each_step(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, float, float]] = []
    generate = reinforcement.Trainer._generate_and_score_completions

    def noted(trainer: Any, inputs: Any) -> Any:
        batch = generate(trainer, inputs)
        said = trainer.processing_class.batch_decode(batch["completion_ids"], skip_special_tokens=True)
        rewards = trainer._logs["rewards"]["reward"]
        seen.extend(zip(map(str.strip, said), rewards, batch["advantages"].tolist(), strict=True))
        return batch

    monkeypatch.setattr(reinforcement.Trainer, "_generate_and_score_completions", noted)
    folder = train("run", options={"rollouts_kept": 200, "max_steps": 8, "group_size": 16})
    found = rollouts(folder)
    assert Counter(rollout["step"] for rollout in found) == dict.fromkeys(range(1, 9), 32)
    kept = {(r["completion"], round(r["reward"], 5), round(r["advantage"], 5)) for r in found}
    assert kept <= {(said, round(reward, 5), round(advantage, 5)) for said, reward, advantage in seen}
    asked = prompts(range(PROMPTS))
    for rollout in found:
        assert rollout["prompt"] == asked[rollout["row"]]["messages"]
        letters = sum(c.isalpha() for c in rollout["completion"])
        assert rollout["reward"] == pytest.approx(letters / asked[rollout["row"]]["of"])
        assert rollout["truncated"] == (rollout["completion_tokens"] == 12)


def test_what_fits_into_memory_changes_no_rollout(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train("whole", options={"max_steps": 2})
    monkeypatch.setattr(packing, "CPU_LENGTH", 32)
    in_parts = train("in_parts", options={"max_steps": 2})
    first = [[r for r in rollouts(folder) if r["step"] == 1] for folder in (whole, in_parts)]
    assert first[0] == first[1]
    for name in ("train_loss", "train_entropy", "train_reward_mean"):
        assert series(in_parts, name)[0] == pytest.approx(series(whole, name)[0], rel=1e-4, abs=1e-6)
    assert series(in_parts, "train_training_seconds")[0] > 0


def test_each_pass_asks_every_prompt_and_fills_its_last_batch(train: Any) -> None:
    order = reinforcement.dataset(10, batch=4, batches=6, seed=0)["prompt"]
    for at in (0, 12):
        assert sorted(order[at : at + 10]) == list(range(10))
        assert order[at + 10 : at + 12] == order[at : at + 2]
    assert list(order[:10]) != list(order[12:22])
    few = reinforcement.dataset(3, batch=8, batches=1, seed=0)["prompt"]
    assert Counter(few).keys() == {0, 1, 2}
    assert len(few) == 8


def test_a_grader_that_fails_too_often_stops_the_job_with_its_own_words(train: Any) -> None:
    check = {"type": "string_check", "name": "c", "operation": "eq", "reference": "a", "input": "{{ item.nothing }}"}
    failed = error(train("run", status=1, options={"grader": check}))
    assert (failed["code"], failed["param"]) == ("grader_failed", "method.reinforcement.grader")
    assert "24 of 24 answers" in failed["message"]
    assert "nothing" in failed["message"]


def test_answers_that_some_rows_cannot_grade_have_no_reward(train: Any, tmp_path: Path) -> None:
    rows = prompts(range(8)) + [{key: row[key] for key in ("messages",)} for row in prompts(range(8, 12))]
    random.Random(0).shuffle(rows)
    folder = train(
        "run",
        training_file=write_rows(tmp_path / "some.jsonl", rows),
        options={"hyperparameters": {"batch_size": 12}, "max_steps": 2},
    )
    assert series(folder, "train_failed_gradings") == [4 * ANSWERS] * 2
    failed = [rollout for rollout in rollouts(folder) if rollout["error"]]
    assert {rollout["reward"] for rollout in failed} == {0}
    assert len(failed) == 2 * 4 * ANSWERS
    assert series(folder, "train_zero_variance_share")[0] >= 4 / 12


def test_prompts_that_leave_no_room_are_told_or_left_out(train: Any, tmp_path: Path) -> None:
    rows = [*prompts(range(6)), {"problem": "x" * 80, "of": 1}]
    training_file = write_rows(tmp_path / "long.jsonl", rows)
    failed = error(train("refused", status=1, training_file=training_file, options={"max_length": 64}))
    assert (failed["code"], failed["param"]) == ("invalid_file", "training_file")
    assert failed["message"].startswith("training_file: line 7: has ")
    failed = error(train("no_room", status=1, options={"max_completion_tokens": 2040}))
    assert "without max_completion_tokens" in failed["message"]
    failed = error(train("nothing_left", status=1, options={"max_completion_tokens": 2048}))
    assert failed["param"] == "method.reinforcement.max_completion_tokens"
    folder = train("dropped", training_file=training_file, options={"max_length": 64, "long_rows": "drop"})
    assert {rollout["row"] for rollout in rollouts(folder)} == set(range(6))


def test_it_stops_early_by_the_reward(train: Any, tmp_path: Path) -> None:
    validation_file = write_rows(tmp_path / "valid.jsonl", prompts(range(20, 22)))
    options = {"max_steps": 10_000, "eval_interval": 1, "early_stopping": {"patience": 1, "min_delta": 1000}}
    folder = train("run", validation_file=validation_file, options=options | {"rollouts_kept": 200})
    assert (outcome(folder)["step"], len(rollouts(folder))) == (2, 2 * BATCH * ANSWERS)
    assert any("Stopping early: valid_reward_mean" in event["message"] for event in events(folder, "message"))


def test_samples_are_of_validation_prompts(train: Any, tmp_path: Path) -> None:
    validation_file = write_rows(tmp_path / "valid.jsonl", prompts(range(20, 23)))
    folder = train(
        "run", validation_file=validation_file, options={"samples": {"rows": 2, "max_tokens": 6}, "max_steps": 1}
    )
    lines = [json.loads(line) for line in (folder / "artifacts/samples.jsonl").read_text().splitlines()]
    assert [line["prompt"] for line in lines] == [row["messages"] for row in prompts(range(20, 22))]
    assert all(line.keys() == {"row", "prompt", "before", "after"} for line in lines)
