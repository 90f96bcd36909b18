"""Reward models on sums, beside some whose labels were chance; and PPO against both.

The reward models start from a trained adder; the wrong answers of their pairs have one wrong digit, or are those of an
adder that is right on some sums only, from which PPO starts. Each seed has sums of its own; all are judged on the same
ones, which no training saw.
"""

import random
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from core.rows.tokens import ChatTokenizer
from tests.proofs import adder
from tests.proofs.preferences import COMMON, HELD_OUT, SEEDS, misread, pairs, sums_of, wrong_answers
from tests.proofs.report import Curves, Proof, keep, validated
from tests.trainers.conftest import RENAMED
from tests.trainers.runs import events, outcome
from trainers import scores

TARGET = 0.7  # nats an answer
COMPARED = 20_000  # sums that a reward model learns from
OWN = 8000  # of them those of whose wrong answers by the policy it learns as well
REWARD_MODEL: dict[str, Any] = {
    **COMMON,
    "max_steps": 1200,
    "hyperparameters": {"batch_size": 64},  # with half of it the rate is too high for what the adder knows
    # Without a long warm-up it may forget what the adder knew: that of seed 2 told 85 % of the policy's own errors, and
    # 99 % with it.
    "optimization": {"learning_rate": 1e-3, "warmup": 0.2},
}
LAST = 20  # steps, over which the distance is to be at its target
PPO: dict[str, Any] = {
    "reward_models": ["ftmodel-1"],
    "weights": "full",
    "max_steps": 60,
    "hyperparameters": {"batch_size": 256},
    "optimization": {"learning_rate": 2e-4, "schedule": "constant"},
    "max_completion_tokens": adder.LONGEST,
    "kl_coefficient": 0.1,
    "kl_target": TARGET,
    "kl_horizon": 500,
    "eval_interval": 20,
    "checkpoint_interval": 1000,
    "samples": adder.NO_SAMPLES,
}

pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings(RENAMED), pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory, adders: adder.Adders) -> dict[str, list[Path]]:
    """Run directories of reward models, one for each seed, by their labels."""
    folder, held_out = tmp_path_factory.mktemp("judges"), pairs(misread(HELD_OUT, seed=0), None)
    found: dict[str, list[Path]] = {"right labels": [], "control": []}
    for seed in SEEDS:
        sums = sums_of(seed, count=COMPARED)
        answers = wrong_answers(adders.half_trained, sums[:OWN], seed=seed) + misread(sums, seed=seed)
        for name, swapped in (("right labels", None), ("control", random.Random(seed))):
            rows, at = pairs(answers, swapped), folder / f"{name}-{seed}"
            found[name].append(adder.train(at, adders.trained, rows, held_out, seed=seed, reward_model=REWARD_MODEL))
    return found


def test_a_reward_model_tells_right_from_wrong(adders: adder.Adders, judges: dict[str, list[Path]]) -> None:
    table: list[dict[str, object]] = []
    for seed in SEEDS:
        row = {name: outcome(run_dirs[seed])["metrics"]["valid_accuracy"] for name, run_dirs in judges.items()}
        table.append({"seed": seed, **row})
        print(table[-1])  # noqa: T201 - the figures
        assert row["right labels"] >= 0.95
        assert abs(row["control"] - 0.5) <= 0.15
    curves = {name: [validated(run_dir, "valid_accuracy") for run_dir in judges[name]] for name in judges}
    models = [scores.load(run_dir / "artifacts") for run_dir in judges["right labels"]]
    tokens = ChatTokenizer.load(adders.trained)
    on, off = (
        share_split(models, tokens, adder.draw_sums(0, count=adder.HELD_OUT, digits=digits)) for digits in (3, 4)
    )
    print(on, off)  # noqa: T201 - the figures
    assert off > on + 0.2
    keep(
        Proof(
            "reward_model",
            "Accuracy on held-out pairs: the right answer to a sum of three-digit numbers, and one with a wrong digit. "
            "The control's pairs are swapped at random. The three models do not prefer the same answer of a pair in "
            f"{on:.1%} of the held-out ones, and in {off:.1%} of pairs about sums of numbers of four digits, which no "
            "training had.",
            "validation accuracy",
            table,
            curves,
        )
    )


def share_split(models: list[Any], tokens: ChatTokenizer, sums: list[str]) -> float:
    """The share of right and wrong answers to sums about which the models are not of one mind."""
    answers = [(asked, adder.answer(asked)) for asked in sums]
    right, wrong = (
        scores.score(models, [adder.chat(*answer) for answer in each], tokens)
        for each in (answers, misread(sums, seed=0))
    )
    preferred = [
        {better > worse for better, worse in zip(one.each, other.each, strict=True)}
        for one, other in zip(right, wrong, strict=True)
    ]
    return fmean(len(which) > 1 for which in preferred)


def test_ppo_makes_more_sums_right(tmp_path: Path, adders: adder.Adders, judges: dict[str, list[Path]]) -> None:
    table: list[dict[str, object]] = []
    curves: Curves = {"ppo": [], "control": []}
    before = adder.share_right(adders.half_trained, HELD_OUT)
    for seed in SEEDS:
        sums, row = sums_of(seed, count=COMPARED), {"seed": seed, "before": before}
        for name, labels in (("ppo", "right labels"), ("control", "control")):
            run_dir = adder.train(
                tmp_path / f"{name}-{seed}",
                adders.half_trained,
                list(map(prompt, sums)),
                list(map(prompt, HELD_OUT)),
                seed=seed,
                ppo=PPO,
                reward_models=[{"base": str(judges[labels][seed] / "artifacts")}],
            )
            curves[name].append(validated(run_dir, "valid_score_mean"))
            row[name] = adder.share_right(run_dir / "artifacts", HELD_OUT)
            row[f"kl, {name}"] = fmean(event["data"]["train_kl"] for event in events(run_dir, "metrics")[-LAST:])
        table.append(row)
        print(row)  # noqa: T201 - the figures
        assert row["ppo"] >= before + 0.10
        assert row["control"] <= before
        assert abs(row["kl, ppo"] / TARGET - 1) <= 0.25
    keep(
        Proof(
            "ppo",
            f"Exact match on the held-out sums, from an adder that is right on {before:.0%}, and the mean distance of "
            f"the last {LAST} steps' answers from that adder's, in nats, which is steered towards {TARGET:g}. The "
            "control's reward model has learnt from pairs that were swapped at random.",
            "score of held-out prompts' answers",
            table,
            curves,
        )
    )


def prompt(asked: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": asked}]}
