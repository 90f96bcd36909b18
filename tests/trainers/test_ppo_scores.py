"""What an answer is worth in PPO, term by term, and the figures that tell of it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForSequenceClassification

from core.specs.asking import Reply
from core.specs.ppo import Ppo
from tests.trainers.runs import error, events, write_rows, write_spec
from tests.trainers.test_ppo import PPO, pairs, prompts, reward_model, rollouts, trainer_of
from trainers.ppo_answers import Answer
from trainers.run import run

METRICS = Path(__file__).parents[2] / "docs/methods/ppo.md"
LENGTH = {
    "type": "python",
    "name": "length",
    "source": "def grade(sample, item):\n    return len(sample['output_text']) / item['of']\n",
}
SHORT = {
    "type": "python",
    "name": "short",
    "source": "def grade(sample, item):\n    return float(len(sample['output_text']) < 9)\n",
}
BOTH = {
    "type": "multi",
    "name": "both",
    "graders": {"length": LENGTH, "short": SHORT},
    "calculate_output": "length + short / 4",
}


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> list[Path]:
    """Two that have learnt the same from different beginnings."""
    folder = tmp_path_factory.mktemp("judges")
    return [reward_model(folder / str(seed), tiny, pairs(64), seed=seed) for seed in (0, 1)]


@pytest.fixture
def write(tmp_path: Path, tiny: Path, judges: list[Path]) -> Callable[..., Path]:
    """Two of the prompts lack what the grader needs."""
    asked = [row | ({} if i in (3, 8) else {"of": 10 + i}) for i, row in enumerate(prompts(range(14)))]
    files = {"training_file": write_rows(tmp_path / "prompts.jsonl", asked)}
    files["validation_file"] = write_rows(tmp_path / "valid.jsonl", [row | {"of": 9} for row in prompts(range(50, 54))])

    def write(**options: Any) -> Path:
        scorers = [{"base": str(judge)} for judge in judges]
        return write_spec(tmp_path / "run", base=tiny, ppo=PPO | options, reward_models=scorers, **files)

    return write


@torch.no_grad()
def scored(judge: Path, ids: list[int]) -> float:
    """By transformers alone."""
    model: Any = AutoModelForSequenceClassification.from_pretrained(judge)
    return float(model.eval()(torch.tensor([ids])).logits[0, 0])


@pytest.mark.parametrize(
    ("spread_penalty", "grader_weight", "missing_eos_penalty"),
    [(0, 0, 0), (0.5, 0, 0), (3.0, 0, 0), (0, 1, 0), (0, -2.5, 0), (0, 0, 0.75), (0.5, 2, 1)],
)
def test_a_score_is_the_mean_less_the_spread_and_the_missing_end_plus_the_grader(
    write: Any, judges: list[Path], spread_penalty: float, grader_weight: float, missing_eos_penalty: float
) -> None:
    given = {"spread_penalty": spread_penalty, "grader_weight": grader_weight}
    trainer = trainer_of(write(grader=BOTH, missing_eos_penalty=missing_eos_penalty, **given))
    of_prompt, tokenizer = trainer.prompts.chosen([0, 1, 2]), trainer.tokenizer
    answers, expected = list[Answer](), list[float]()
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    said = [("abacus", True), ("a long answer, cut", False), ("bcd", True)]
    for k, (text, ended) in enumerate(said):
        prompt, ids = of_prompt.tokens[k], tokenizer.encode(text, add_special_tokens=False)
        answers.append(Answer(of_prompt.content[k], k, prompt, ids + [end] * ended, ended, text))
        closing = tokenizer.encode("<|im_end|>\n", add_special_tokens=False)
        both = [scored(judge, prompt + ids + closing) for judge in judges]
        assert pstdev(both) > 0.01
        grader = len(text) / (10 + k) + (len(text) < 9) / 4
        score = sum(both) / 2 - spread_penalty * abs(both[0] - both[1]) / 2
        expected.append(score + grader_weight * grader - (0 if ended else missing_eos_penalty))
        (judged,) = trainer.judge(answers[-1:])
        assert judged.spread == pytest.approx(pstdev(both), abs=1e-4)
        parts = {"reward_model_1": both[0], "reward_model_2": both[1], "grader": grader}
        parts |= {"length": len(text) / (10 + k), "short": float(len(text) < 9)}
        assert judged.parts == pytest.approx(parts, abs=1e-4)
    assert [judged.score for judged in trainer.judge(answers)] == pytest.approx(expected, abs=1e-4)


def test_the_figures_of_a_step_are_those_of_its_answers(write: Any) -> None:
    folder = write(grader=BOTH, grader_weight=0.5, kl_coefficient=0.3, max_failed_gradings=0.9)
    assert run(folder) == 0, error(folder)
    steps, kept = [event["data"] for event in events(folder, "metrics")], rollouts(folder)
    assert sum(data["train_failed_gradings"] for data in steps) == 4  # two prompts, in two passes
    for step, data in enumerate(steps, 1):
        of_step = [line for line in kept if line["step"] == step]
        means = {
            "train_reward_mean": fmean(line["reward"] for line in of_step),
            "completion_tokens_mean": fmean(line["completion_tokens"] for line in of_step),
            "train_truncated_share": fmean(line["truncated"] for line in of_step),
            "train_failed_gradings": sum(line["error"] is not None for line in of_step),
            "train_score_mean": fmean(line["rewards"]["score"] for line in of_step),
            "train_score_spread": fmean(line["rewards"]["score_spread"] for line in of_step),
            "train_kl": fmean(line["rewards"]["kl"] for line in of_step),
        }
        for name in ("reward_model_1", "reward_model_2", "grader", "length", "short"):
            means[f"train_{name}_score_mean"] = fmean(line["rewards"][name] for line in of_step)
        assert {name: data[name] for name in means} == pytest.approx(means, abs=1e-5)
        loss = data["train_policy_loss"] + 0.1 * data["train_value_loss"]
        assert data["train_loss"] == pytest.approx(loss, abs=1e-6)
        assert data["train_entropy"] > 0
        assert data["train_value_loss"] > 0
        assert data["train_approximate_kl"] > 0
        assert 0 <= data["train_clip_fraction"] <= 1
        assert data["train_explained_variance"] <= 1
    assert steps[0]["train_kl"] == pytest.approx(0, abs=1e-5)
    assert steps[0]["train_kl_coefficient"] == 0.3
    for line in kept:
        failed = line["row"] in (3, 8)
        assert (line["error"] is not None) == failed
        assert line["rewards"]["grader"] == (
            0 if failed else pytest.approx(line["rewards"]["length"] + line["rewards"]["short"] / 4)
        )


def test_of_a_rollouts_rewards_the_score_is_what_is_learnt_from(write: Any) -> None:
    """Whatever figures of that name a grader has."""
    asked = {"model": "judge", "input": [{"role": "user", "content": "{{ sample.output_text }}"}], "range": [0, 5]}
    folder = write(grader={"type": "score_model", "name": "judge", **asked})
    trainer = trainer_of(folder, ask=lambda questions: [Reply(text="7")] * len(questions))
    played = trainer.play(trainer.model, trainer.prompts)
    trainer.keep(trainer.lesson(played, kl_coefficient=0.1), kl_coefficient=0.1)
    kept = [json.loads(line) for line in trainer.rollouts.path.read_text().splitlines()]
    assert len(kept) == len(played.judged) == 14
    for line, judged in zip(kept, played.judged, strict=True):
        assert line["rewards"]["score"] == judged.score
        assert (line["rewards"]["grader"], judged.parts["score"]) == (5, 7)


def test_events_have_every_figure_that_the_documents_name(write: Any) -> None:
    table = METRICS.read_text().partition("## Metrics")[2].partition("\n## ")[0]
    named = set(re.findall(r"`((?:train|valid|completion)_\w+)`", table.replace("NAME", "length")))
    folder = write(grader=BOTH, max_failed_gradings=0.9)
    assert run(folder) == 0, error(folder)
    steps = [event["data"] for event in events(folder, "metrics")]
    assert len(named) > 15
    assert {name for name in named if not name.startswith("valid_")} <= steps[0].keys()
    assert named <= {name for data in steps for name in data}
    assert json.dumps(steps, allow_nan=False)
    assert {name for name in steps[2] if name.startswith("valid_")} >= {"valid_grader_score_mean", "valid_kl"}


@pytest.mark.parametrize("name", ["score", "score_spread", "kl", "grader", "reward_model_2"])
def test_parts_of_a_grader_are_not_called_as_ppos_own_figures(name: str) -> None:
    grader = {"type": "multi", "name": "m", "graders": {name: SHORT}, "calculate_output": name}
    with pytest.raises(ValidationError) as refused:
        Ppo.model_validate({"reward_models": ["m"], "grader": grader})
    errors: Any = refused.value.errors()
    assert errors[0]["ctx"]["error"].key == f"grader.graders.{name}"
