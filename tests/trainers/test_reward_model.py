"""Reward models: what is better scores higher, as TRL and the formula have it, before and after a file or a resume."""

import json
import math
import random
from itertools import combinations
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from core.rows.chat import Chat, Message
from core.rows.kinds import to_row
from core.rows.tokens import ChatTokenizer
from core.specs.run import RunSpec
from tests.trainers.runs import error, events, last_checkpoint, outcome, results, samples, write_rows, write_spec
from trainers import scores, weights
from trainers.reward_model import calibration_error
from trainers.run import run

CENTER = 0.01
OPTIONS: dict[str, Any] = {
    "hyperparameters": {"n_epochs": 2, "batch_size": 4},
    "optimization": {"learning_rate": 3e-3},
    "checkpoint_interval": 3,
}
NAMES = {"adapter": "adapter_model.safetensors", "full": "model.safetensors"}


def pairs(numbers: range) -> list[dict[str, Any]]:
    return [
        {"prompt": f"say {i}" + "!" * (i % 5), "chosen": f"{i}, please", "rejected": f"{i}, at once"} for i in numbers
    ]


def ranking(prompt: str, *ranks: int) -> dict[str, Any]:
    return {"prompt": prompt, "responses": [{"response": f"{k}" * (k + 1), "rank": r} for k, r in enumerate(ranks)]}


def by_hand(row: dict[str, Any], *, margin: float = 0.0) -> float:
    """The loss of a row of samples.jsonl by its scores from before training."""
    compared = [(a["before"], b["before"]) for a, b in combinations(row["responses"], 2) if a["rank"] < b["rank"]]
    losses = [math.log(1 + math.exp(b - a + margin)) + CENTER * (a + b) ** 2 for a, b in compared]
    return sum(losses) / len(losses)


@pytest.fixture
def train(tmp_path: Path, tiny: Path) -> Any:
    training_file = write_rows(tmp_path / "pairs.jsonl", pairs(range(24)))
    validation_file = write_rows(tmp_path / "valid.jsonl", pairs(range(100, 106)))

    def train(name: str, *, status: int = 0, reward_model: dict[str, Any] | None = None, **fields: Any) -> Path:
        files = {
            "base": tiny,
            "training_file": training_file,
            "validation_file": validation_file,
            "threads": 1,
            **fields,
        }
        folder = write_spec(tmp_path / name, reward_model=OPTIONS | (reward_model or {}), **files)
        assert run(folder) == status
        return folder

    return train


@pytest.fixture
def one_step(train: Any, tmp_path: Path) -> Any:
    """(figures of the first step, scores) of a run whose only step takes all rows."""

    def one_step(rows: list[dict[str, Any]], **fields: Any) -> tuple[dict[str, float], list[dict[str, Any]]]:
        path = write_rows(tmp_path / "rows.jsonl", rows)
        options = {"hyperparameters": {"batch_size": len(rows)}, "max_steps": 1, "optimization": {"max_grad_norm": 0}}
        folder = train("step", training_file=path, validation_file=path, reward_model=options, **fields)
        return events(folder, "metrics")[0]["data"], samples(folder)

    return one_step


def first_loss(folder: Path) -> float:
    return events(folder, "metrics")[0]["data"]["train_loss"]


def read_spec(folder: Path) -> RunSpec:
    return RunSpec.model_validate_json((folder / "spec.json").read_bytes())


@pytest.mark.parametrize("margin", [None, 0.7])
def test_of_pairs_loss_and_gradient_are_those_of_trl(
    train: Any, tmp_path: Path, tiny: Path, margin: float | None
) -> None:
    rows = [row | ({"margin": margin} if margin else {}) for row in pairs(range(13))]
    files = {"training_file": write_rows(tmp_path / "rows.jsonl", rows), "validation_file": None}
    options = {"hyperparameters": {"batch_size": len(rows)}, "max_steps": 1, "weights": "full"}
    folder = train("run", reward_model=options, **files)
    ours = events(folder, "metrics")[0]["data"]

    tokens = ChatTokenizer.load(tiny)
    ids = [[tokens.tokenize(chat).input_ids for chat in to_row(1, row).chats] for row in rows]
    columns: dict[str, list[Any]] = {"chosen_ids": [c for c, _ in ids], "rejected_ids": [r for _, r in ids]}
    model = weights.start(read_spec(folder))
    theirs = RewardTrainer(
        model=model,
        args=RewardConfig(str(tmp_path / "trl"), use_cpu=True, report_to="none", center_rewards_coefficient=CENTER),
        train_dataset=Dataset.from_dict(columns | ({"margin": [margin] * len(rows)} if margin else {})),
        processing_class=AutoTokenizer.from_pretrained(tiny),
    )
    batch = theirs.data_collator(list(theirs.train_dataset))
    loss: Any = theirs.compute_loss(model.train(), batch)
    loss.backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    assert ours["train_loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert ours["grad_norm"] == pytest.approx(norm.item(), rel=1e-4)
    assert ours["train_accuracy"] == pytest.approx(theirs._metrics["train"]["accuracy"][-1])
    assert ours["train_margin"] == pytest.approx(theirs._metrics["train"]["margin"][-1], rel=1e-4)
    assert ours["train_score"] == pytest.approx(theirs._metrics["train"]["mean_reward"][-1], rel=1e-4)


def test_all_pairs_of_a_ranking_count_and_together_as_much_as_a_pair(one_step: Any) -> None:
    figures, before = one_step([ranking("a", 3, 1, 2, 2), ranking("b", 1, 5), ranking("c", 2, 1, 1)])
    assert [[response["rank"] for response in row["responses"]] for row in before] == [[1, 2, 2, 3], [1, 5], [1, 1, 2]]
    assert figures["train_loss"] == pytest.approx(fmean(map(by_hand, before)), rel=1e-5)
    scored = [[response["before"] for response in row["responses"]] for row in before]
    assert figures["train_score"] == pytest.approx(fmean(map(fmean, scored)), rel=1e-5)
    assert figures["train_score_spread"] == pytest.approx(fmean(map(pstdev, scored)), rel=1e-5)
    (a, b, c, d), (e, f), (g, h, i) = scored
    right = [[a > b, a > c, a > d, b > d, c > d], [e > f], [g > i, h > i]]
    assert figures["train_accuracy"] == pytest.approx(fmean(map(fmean, right)))


def test_a_margin_is_what_the_difference_has_to_reach(one_step: Any) -> None:
    margins = [0.5, 2.0, 4.0]
    rows = [row | {"margin": margin} for row, margin in zip(pairs(range(3)), margins, strict=True)]
    figures, before = one_step(rows)
    expected = [by_hand(row, margin=margin) for row, margin in zip(before, margins, strict=True)]
    assert figures["train_loss"] == pytest.approx(fmean(expected), rel=1e-5)


def test_calibration_is_confidence_beside_how_often_it_was_right() -> None:
    """Two bins: confidence 0.73, right in 1 of 2; confidence 0.88, right in 2 of 2."""
    apart = torch.tensor([1.0, -1.0, 2.0, 2.0])
    low, high = (1 / (1 + math.exp(-x)) for x in (1, 2))
    expected = 0.5 * abs(low - 0.5) + 0.5 * abs(high - 1)
    assert calibration_error(apart, torch.full((4,), 0.25)) == pytest.approx(expected, rel=1e-5)


def plainly(model: Any, folder: Path, row: dict[str, Any]) -> list[float]:
    """Scores of a row of samples.jsonl, by nothing but transformers."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [
        tokenizer.apply_chat_template(
            [*row["prompt"], {"role": "assistant", "content": response["text"]}], tokenize=False
        )
        for response in row["responses"]
    ]
    ids = [tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"] for text in texts]
    with torch.no_grad():
        return [float(model.eval()(one).logits) for one in ids]


def after(row: dict[str, Any]) -> list[float]:
    return [response["after"] for response in row["responses"]]


@pytest.mark.parametrize("kind", ["adapter", "full", "merged"])
def test_scores_survive_a_file(train: Any, tiny: Path, kind: str) -> None:
    """As plain transformers and peft load it, and as we do (huggingface/trl issue 1379: heads that were not saved)."""
    options = {"weights": "full"} if kind == "full" else {"merged_weights": kind == "merged"}
    artifacts = train("run", reward_model=options) / "artifacts"
    folder = artifacts / "merged" if kind == "merged" else artifacts
    lines = samples(artifacts.parent)
    if kind == "adapter":
        base = AutoModelForSequenceClassification.from_pretrained(tiny, num_labels=1)
        plain = PeftModel.from_pretrained(base, str(folder))
    else:
        plain = AutoModelForSequenceClassification.from_pretrained(folder)
    ours = scores.load(folder, tiny if kind == "adapter" else None)
    rows = [to_row(1, row) for row in pairs(range(100, 106))]
    tolerance = 1e-5 if kind == "merged" else 1e-6  # merging adds to weights what else is added to states
    scored = scores.score([ours], [chat for row in rows for chat in row.chats], ChatTokenizer.load(folder))
    assert [one.mean for one in scored] == pytest.approx(
        [score for row in lines for score in after(row)], abs=tolerance
    )
    assert {one.spread for one in scored} == {0}
    for row in lines:
        assert plainly(plain, folder, row) == pytest.approx(after(row), abs=tolerance)
        assert row["responses"][0]["before"] != row["responses"][0]["after"]


@pytest.mark.parametrize("kind", ["adapter", "full"])
def test_a_resumed_run_ends_with_the_same_bytes(train: Any, kind: str) -> None:
    options = {"weights": kind, "keep_best": "valid_accuracy", "eval_interval": 2}
    if kind == "adapter":
        options["lora"] = {"r": 8, "alpha": 16, "dropout": 0.1}
    undisturbed = train("undisturbed", reward_model=options)
    checkpoint = undisturbed / events(undisturbed, "checkpoint")[1]["path"]
    resumed = train("resumed", reward_model=options, resume_from=checkpoint)
    name = NAMES[kind]
    assert (resumed / "artifacts" / name).read_bytes() == (undisturbed / "artifacts" / name).read_bytes()
    assert results(resumed) == results(undisturbed)
    assert samples(resumed) == samples(undisturbed)
    assert outcome(resumed)["trained_tokens"] == outcome(undisturbed)["trained_tokens"]


@pytest.fixture
def policy(tmp_path: Path, tiny: Path, few_rows: Path) -> Path:
    """The artifacts of a supervised job."""
    supervised = {"max_steps": 4, "optimization": {"learning_rate": 3e-2}, "samples": {"rows": 0}}
    folder = write_spec(tmp_path / "policy", base=tiny, training_file=few_rows, supervised=supervised)
    assert run(folder) == 0
    return folder / "artifacts"


@pytest.mark.parametrize("kind", ["adapter", "full"])
def test_it_begins_where_a_policys_adapter_ended_with_a_head_of_its_seed(
    train: Any, tmp_path: Path, tiny: Path, policy: Path, kind: str
) -> None:
    rows = write_rows(tmp_path / "all.jsonl", pairs(range(4)))
    files = {"training_file": rows, "validation_file": rows, "seed": 3}
    options = {"weights": kind, "max_steps": 2, "hyperparameters": {"batch_size": 4}}
    folder = train("run", start_adapter=policy, reward_model=options, **files)
    merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), str(policy)).merge_and_unload()
    head = torch.randn(1, 64, generator=torch.Generator().manual_seed(3)) / 65**0.5
    tokens = ChatTokenizer.load(tiny)
    with torch.no_grad():
        expected = [
            float(head @ merged.model(torch.tensor([tokens.tokenize(chat).input_ids])).last_hidden_state[0, -1])
            for row in pairs(range(4))
            for chat in to_row(1, row).chats
        ]
    lines = samples(folder)
    before = [response["before"] for row in lines for response in row["responses"]]
    assert before == pytest.approx(expected, abs=1e-5)
    assert first_loss(folder) == pytest.approx(fmean(map(by_hand, lines)), rel=1e-4)
    if kind == "adapter":
        config = json.loads((folder / "artifacts" / "adapter_config.json").read_text())
        assert (config["task_type"], config["modules_to_save"]) == ("SEQ_CLS", ["classifier", "score"])


@pytest.mark.parametrize("kind", ["adapter", "full"])
def test_a_reward_model_goes_on_where_it_ended(train: Any, tiny: Path, kind: str) -> None:
    first = train("first", reward_model={"weights": kind})
    start = {"start_adapter": first / "artifacts"} if kind == "adapter" else {"base": first / "artifacts"}
    second = train("second", reward_model={"weights": kind}, seed=9, **start)
    last = {(row["row"], i): score for row in samples(first) for i, score in enumerate(after(row))}
    for row in samples(second):
        for i, response in enumerate(row["responses"]):
            assert response["before"] == pytest.approx(last[row["row"], i], abs=1e-6)
    if kind == "adapter":
        config = json.loads((second / "artifacts" / "adapter_config.json").read_text())
        assert config["modules_to_save"] == ["classifier", "score"]
    assert scores.load(last_checkpoint(second), tiny if kind == "adapter" else None) is not None


def test_a_policy_is_no_reward_model(policy: Path, tiny: Path, train: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds the adapter of a policy.*one of a reward model is needed"):
        scores.load(policy, tiny)
    with pytest.raises(ValueError, match=r"holds a policy, which writes answers; a reward model is needed"):
        scores.load(tiny)
    with pytest.raises(ValueError, match=r"holds an adapter: give the base"):
        scores.load(train("run") / "artifacts")
    whole = train("whole", reward_model={"weights": "full"}) / "artifacts"
    chats = write_rows(tmp_path / "chats.jsonl", [{"prompt": "a", "completion": "b"}])
    folder = write_spec(tmp_path / "taught", base=whole, training_file=chats, supervised={"max_steps": 1})
    assert run(folder) == 1
    assert error(folder)["message"].startswith("model: is a reward model, which scores answers")
    failed = error(train("chats", status=1, training_file=chats))
    assert (failed["code"], failed["param"]) == ("invalid_file", "training_file")
    assert "is a chat, not a preference or a ranking" in failed["message"]


def test_padding_at_a_rows_end_is_looked_past_as_transformers_does() -> None:
    assert scores.without_padding([5, 0, 6, 0, 0], 0) == [5, 0, 6]
    assert scores.without_padding([0, 0], 0) == [0]


# Sums of two digits below 4. Of each, some wrong answers are seen in training and others are not.
SUMS = [(a, b, wrong) for a in range(4) for b in range(4) for wrong in range(10) if wrong != a + b]
LEARNT: dict[str, Any] = {
    "weights": "full",
    "hyperparameters": {"n_epochs": 13, "batch_size": 8},
    "optimization": {"learning_rate": 3e-3, "schedule": "cosine", "warmup": 0.1},
    "checkpoint_interval": 1000,
    "samples": {"rows": 0},
}


def sums(triples: list[tuple[int, int, int]], *, flipped: random.Random | None = None) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for a, b, wrong in triples:
        answers = [str(a + b), str(wrong)]
        if flipped and flipped.random() < 0.5:
            answers.reverse()
        rows.append({"prompt": f"{a}+{b}", "chosen": answers[0], "rejected": answers[1]})
    return rows


def chats(answered: list[tuple[int, int, int]]) -> list[Chat]:
    return [
        Chat([Message("user", f"{a}+{b}"), Message("assistant", str(answer), trained=True)])
        for a, b, answer in answered
    ]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> dict[str, list[Path]]:
    """Runs of three seeds on sums, and on the same sums of which half are the wrong way round."""
    folder = tmp_path_factory.mktemp("learnt")
    shuffled = random.Random(0).sample(SUMS, len(SUMS))
    valid = write_rows(folder / "valid.jsonl", sums(shuffled[:32]))
    found: dict[str, list[Path]] = {}
    for name in ("right", "flipped"):
        for seed in range(3):
            flipped = random.Random(seed) if name == "flipped" else None
            rows = write_rows(folder / f"{name}-{seed}.jsonl", sums(shuffled[32:], flipped=flipped))
            run_dir = write_spec(
                folder / f"{name}-{seed}",
                base=tiny,
                training_file=rows,
                validation_file=valid,
                threads=1,
                seed=seed,
                reward_model=LEARNT,
            )
            assert run(run_dir) == 0
            found.setdefault(name, []).append(run_dir)
    return found


def test_wrong_sums_that_were_never_seen_score_lower_but_not_where_labels_are_chance(
    learnt: dict[str, list[Path]],
) -> None:
    right, flipped = ([outcome(folder)["metrics"] for folder in learnt[name]] for name in ("right", "flipped"))
    assert all(metrics["valid_accuracy"] >= 0.95 for metrics in right)
    assert all(abs(metrics["valid_accuracy"] - 0.5) <= 0.2 for metrics in flipped)
    assert max(metrics["valid_calibration_error"] for metrics in right) < min(
        metrics["valid_calibration_error"] for metrics in flipped
    )


def test_models_of_different_seeds_are_further_apart_off_the_distribution(
    learnt: dict[str, list[Path]], tiny: Path
) -> None:
    models = [scores.load(folder / "artifacts") for folder in learnt["right"]]
    tokens = ChatTokenizer.load(tiny)
    near = [(a, b, answer) for a in range(4) for b in range(4) for answer in range(10)]
    far = [(a, b, answer) for a in range(5, 10) for b in range(5, 10) for answer in range(10)]
    on, off = (scores.score(models, chats(asked), tokens) for asked in (near, far))
    assert fmean(one.spread for one in off) > 1.2 * fmean(one.spread for one in on)
    one = on[0]
    assert (one.mean, one.spread) == pytest.approx((fmean(one.each), pstdev(one.each)))
