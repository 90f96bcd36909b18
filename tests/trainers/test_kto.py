"""Feedback: losses beside the model that the job starts from, exactly so when resumed.

That more answers come right is shown in tests/proofs/test_short_forms.py.
"""

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from trl.trainer.kto_trainer import KTOTrainer

from core.rows.chat import Chat, Message
from core.rows.feedback import Feedback
from core.rows.tokens import ChatTokenizer
from core.specs.kto import Kto
from core.specs.run import RunSpec
from tests.trainers.runs import adapter_digest, error, events, last_checkpoint, outcome, results, write_rows, write_spec
from trainers import weights
from trainers.finetuning import Run, longest_row, make_plan, read_files
from trainers.kto import Answers, Collator, Trainer, joined, make_trainer
from trainers.loading import load_tokenizer
from trainers.rows import read_rows, split
from trainers.run import run
from trainers.rundir import RunDir
from trainers.stopping import listening

KTO: dict[str, Any] = {
    "hyperparameters": {"n_epochs": 2, "batch_size": 4},
    "optimization": {"learning_rate": 3e-3},
    "checkpoint_interval": 3,
    "samples": {"rows": 0},
}
SEED = 5  # of an adapter that makes answers to other prompts likelier, so that the point is above zero


def feedback(numbers: range) -> list[dict[str, Any]]:
    """What is said is liked where it is polite."""
    return [
        {
            "prompt": f"say {i}" + "!" * (i % 5),
            "completion": f"{i}, please" if i % 2 else f"{i}, at once",
            "label": bool(i % 2),
        }
        for i in numbers
    ]


@pytest.fixture
def write(tmp_path: Path, tiny: Path) -> Any:
    training_file = write_rows(tmp_path / "rows.jsonl", feedback(range(24)))
    validation_file = write_rows(tmp_path / "valid.jsonl", feedback(range(100, 116)))

    def write(name: str, *, kto: dict[str, Any] | None = None, **fields: Any) -> Path:
        files = {"training_file": training_file, "validation_file": validation_file, **fields}
        return write_spec(tmp_path / name, base=tiny, kto=KTO | (kto or {}), **files)

    return write


@pytest.fixture
def train(write: Any) -> Any:
    def train(name: str, *, status: int = 0, **fields: Any) -> Path:
        folder = write(name, **fields)
        assert run(folder) == status
        return folder

    return train


def series(folder: Path, name: str) -> list[float]:
    return [event["data"][name] for event in events(folder, "metrics")]


def trainer_of(folder: Path) -> Trainer:
    """As `finetune` makes it, but for an adapter that is no longer its own reference."""
    spec, run_dir = RunSpec.model_validate_json((folder / "spec.json").read_bytes()), RunDir(folder)
    torch.manual_seed(SEED)
    model, tokens = weights.start(spec), ChatTokenizer.load(Path(spec.base_model))
    read = partial(read_rows, wanted=(Feedback,))
    with listening() as stop:
        rows, _ = read_files(spec, run_dir, tokens, stop, read=read, limit=longest_row(spec))
    plan = make_plan(spec, rows, width=model.config.hidden_size)
    trainer = make_trainer(Run(spec, run_dir, plan, model, load_tokenizer(spec), tokens, rows))
    for name, parameter in model.named_parameters():
        if ".default." in name:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return trainer


@pytest.mark.parametrize("loss", ["kto", "apo_zero_unpaired"])
def test_either_loss_begins_where_the_model_is_its_own_reference_and_falls(train: Any, loss: str) -> None:
    folder = train("run", kto={"loss": loss})
    losses = series(folder, "train_loss")
    assert losses[0] == pytest.approx(0.5, rel=1e-4)
    assert losses[-1] < losses[0]
    assert ("train_kl" in events(folder, "metrics")[0]["data"]) == (loss == "kto")
    assert list(results(folder)[0]) == [
        "step", "train_loss", "train_accuracy", "train_reward_margin", "valid_loss", "valid_reward_accuracy",
        "valid_reward_margin",
    ]  # fmt: skip


@pytest.mark.parametrize("loss", ["kto", "apo_zero_unpaired"])
def test_loss_and_gradient_are_those_of_trl_and_do_not_depend_on_how_a_step_is_laid_out(write: Any, loss: str) -> None:
    trainer = trainer_of(
        write("run", kto={"loss": loss, "desirable_weight": 1.5, "hyperparameters": {"batch_size": 24}})
    )
    model: Any = trainer.model
    rows: Any = trainer.train_dataset
    (part,) = trainer.data_collator(rows.to_list())["parts"]

    KTOTrainer.compute_loss(trainer, model, part).backward()
    theirs = gradients(model)
    figures = {name: values[-1] for name, values in trainer._metrics["eval"].items()}
    for size in (24, 5):
        parts = [
            trainer.with_reference(part) for part in Collator(trainer.data_collator.pad, size)(rows.to_list())["parts"]
        ]
        point = trainer.point(model, parts)
        answers = joined([trainer.answers(model, part) for part in parts])
        trainer.losses(answers, point).mean().backward()
        torch.testing.assert_close(gradients(model), theirs, rtol=1e-3, atol=1e-6)
        score = trainer.score(Answers(*(column.detach() for column in answers)), point)
        means = {name: value / 24 for name, value in score.sums.items()}
        for ours, name in (
            ("chosen_reward", "rewards/chosen"),
            ("rejected_reward", "rewards/rejected"),
            ("reward_margin", "rewards/margins"),
            ("entropy", "entropy"),
        ):
            assert means[ours] == pytest.approx(figures[name], rel=1e-4)
        assert means.get("kl", 0) == pytest.approx(figures["kl"], rel=1e-4)
    assert (figures["kl"] > 0) == (loss == "kto")


def gradients(model: Any) -> torch.Tensor:
    found = torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])
    model.zero_grad()
    return found


def test_auto_weighs_both_labels_alike(train: Any, tmp_path: Path) -> None:
    rows = [row for row in feedback(range(32)) if row["label"]] + feedback(range(32, 40))
    folder = train(
        "run",
        training_file=write_rows(tmp_path / "t.jsonl", rows),
        kto={"hyperparameters": {"n_epochs": 1, "batch_size": 24}},
    )
    assert series(folder, "train_loss") == [pytest.approx((20 * 1 + 4 * 5) / 24 / 2, rel=1e-4)]
    said = [event["message"] for event in events(folder, "message")]
    assert "20 of 24 rows are desirable: desirable_weight 1, undesirable_weight 5" in said


@pytest.mark.parametrize(
    ("given", "counts", "expected"),
    [
        ({}, (20, 5), (1, 4)),
        ({}, (5, 20), (4, 1)),
        ({}, (5, 0), (1, 1)),
        ({"desirable_weight": 2}, (20, 5), (2, 8)),
        ({"undesirable_weight": 2}, (20, 5), (0.5, 2)),
        ({"desirable_weight": 2, "undesirable_weight": 3}, (20, 5), (2, 3)),
    ],
)
def test_a_weight_that_is_auto_goes_by_the_rows_and_the_other(
    given: dict[str, Any], counts: tuple[int, int], expected: tuple[float, float]
) -> None:
    desirable, undesirable = counts
    assert Kto(**given).label_weights(desirable=desirable, undesirable=undesirable) == expected


def test_a_step_with_one_label_has_no_figures_of_the_other(train: Any, tmp_path: Path) -> None:
    liked = [row for row in feedback(range(48)) if row["label"]]
    folder = train("run", training_file=write_rows(tmp_path / "t.jsonl", liked))
    for event in events(folder, "metrics"):
        assert {"train_chosen_reward", "train_reward_accuracy"} <= event["data"].keys()
        assert not {"train_rejected_reward", "train_reward_margin"} & event["data"].keys()
        assert all(value is None or math.isfinite(value) for value in event["data"].values())
    assert {row["train_reward_margin"] for row in results(folder)} == {""}
    assert results(folder)[-1]["valid_reward_margin"] != ""


@pytest.mark.parametrize("weights", ["adapter", "full"])
def test_the_reference_is_what_the_job_starts_from(train: Any, weights: str) -> None:
    first = train("first")
    second = train("second", start_adapter=first / "artifacts", kto={"weights": weights})
    assert series(second, "train_loss")[0] == pytest.approx(0.5, rel=1e-4)
    assert outcome(first)["metrics"]["valid_reward_margin"] > 0.01  # beside the base it would have begun elsewhere
    again = train(
        "again",
        start_adapter=first / "artifacts",
        kto={"weights": weights},
        resume_from=last_checkpoint(second).parent / "step-3",
    )
    name = "adapter_model.safetensors" if weights == "adapter" else "model.safetensors"
    assert (again / "artifacts" / name).read_bytes() == (second / "artifacts" / name).read_bytes()


def test_the_reference_drops_nothing_out(train: Any) -> None:
    options = {"lora": {"r": 8, "alpha": 16, "dropout": 0.5}, "precompute_reference": True}
    first = train("first", kto=options)
    still = {"optimization": {"learning_rate": 1e-12}}
    second = train("second", start_adapter=first / "artifacts", kto=options | still)
    assert outcome(second)["metrics"]["valid_reward_margin"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("precompute", [False, True])
def test_a_resumed_run_ends_with_the_same_bytes(train: Any, precompute: bool) -> None:
    options = {
        "lora": {"r": 8, "alpha": 16, "dropout": 0.1},
        "precompute_reference": precompute,
        "hyperparameters": {"n_epochs": 2, "batch_size": 5},  # the last step of a pass has 4 rows
    }
    undisturbed = train("undisturbed", kto=options)
    checkpoint = undisturbed / events(undisturbed, "checkpoint")[1]["path"]
    resumed = train("resumed", kto=options, resume_from=checkpoint)
    assert adapter_digest(resumed) == adapter_digest(undisturbed)
    assert results(resumed) == results(undisturbed)
    assert outcome(resumed)["trained_tokens"] == outcome(undisturbed)["trained_tokens"]


def test_what_comes_out_is_one_adapter_that_plain_peft_loads(train: Any, tiny: Path) -> None:
    folder = train("run", kto={"samples": {"rows": 2, "max_tokens": 4}, "merged_weights": True})
    for place in (folder / "artifacts", last_checkpoint(folder)):
        assert not (place / "ref").exists()
        adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), str(place))
        assert list(adapted.peft_config) == ["default"]
    merged = AutoModelForCausalLM.from_pretrained(folder / "artifacts" / "merged")
    ids = torch.arange(8)[None]
    with torch.no_grad():
        torch.testing.assert_close(merged(ids).logits, adapted.eval()(ids).logits, atol=1e-4, rtol=1e-4)


def test_long_rows_are_cut_with_their_mismatched_answers(write: Any, tmp_path: Path) -> None:
    """No prompt is followed by an answer that together would be longer than the longest row."""
    rows = [
        {"prompt": "say " * 60, "completion": "a", "label": True},
        {"prompt": "b", "completion": "no " * 60, "label": False},
    ]
    trainer = trainer_of(write("run", training_file=write_rows(tmp_path / "t.jsonl", rows), kto={"max_length": 100}))
    data: Any = trainer.train_dataset
    (part,) = trainer.data_collator(data.to_list())["parts"]
    assert part["input_ids"].shape[1] == part["KL_input_ids"].shape[1] == 100
    assert part["KL_completion_mask"].sum(1).min() > 0


def test_the_share_of_padding_is_what_the_shorter_answers_lack(train: Any, tmp_path: Path, tiny: Path) -> None:
    short, long = ({"prompt": "say 1", "completion": text, "label": text == "1"} for text in ("1", "1, at once"))
    training_file = write_rows(tmp_path / "t.jsonl", [short, long])
    folder = train("run", training_file=training_file, kto={"hyperparameters": {"n_epochs": 1, "batch_size": 2}})
    messages = [Message("user", long["prompt"]), Message("assistant", long["completion"], trained=True)]
    longer = sum(map(len, split(ChatTokenizer.load(tiny).tokenize(Chat(messages)))))
    assert series(folder, "padding_share") == [len(", at once") / (2 * longer)]


def test_rows_that_are_no_feedback_are_refused(train: Any, few_rows: Path) -> None:
    folder = train("chats", status=1, training_file=few_rows)
    assert (error(folder)["code"], error(folder)["param"]) == ("invalid_file", "training_file")
