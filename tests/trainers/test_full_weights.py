"""All weights trained: the model that comes out is a base like any other, and every option means the same."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.trainers.runs import events, outcome, results, samples, write_spec
from trainers.run import run

FULL: dict[str, Any] = {
    "weights": "full",
    "hyperparameters": {"n_epochs": 3, "batch_size": 4},
    "optimization": {"learning_rate": 3e-3},
    "checkpoint_interval": 4,
    "samples": {"max_tokens": 8},
}


@pytest.fixture
def train(tmp_path: Path, tiny: Path, few_rows: Path, valid_rows: Path) -> Any:
    def train(
        name: str, *, status: int = 0, base: Path = tiny, supervised: dict[str, Any] = FULL, **fields: Any
    ) -> Path:
        files = {"training_file": few_rows, "validation_file": valid_rows}
        folder = write_spec(tmp_path / name, base=base, supervised=supervised, **files, **fields)
        assert run(folder) == 0
        return folder

    return train


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def log_probabilities(folder: Path, adapter: Path | None = None) -> torch.Tensor:
    """Of a fixed text, by plain transformers (and plain peft)."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter))
    ids = AutoTokenizer.from_pretrained(folder)("say 3!!!", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return model(ids).logits.log_softmax(-1)


def test_all_weights_move_and_plain_transformers_loads_what_comes_out(train: Any, tiny: Path) -> None:
    folder = train("run")
    before, after = weights(tiny), weights(folder / "artifacts")
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before)
    losses = [float(row["valid_loss"]) for row in results(folder) if row["valid_loss"]]
    assert losses[-1] < losses[0]
    assert not (folder / "artifacts" / "adapter_config.json").exists()
    model = AutoModelForCausalLM.from_pretrained(folder / "artifacts")
    tokenizer = AutoTokenizer.from_pretrained(folder / "artifacts")
    (sample, *_) = samples(folder)
    prompt = tokenizer.apply_chat_template(sample["prompt"], tokenize=False, add_generation_prompt=True)
    ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
    said = tokenizer.decode(model.generate(ids, max_new_tokens=8, do_sample=False)[0, ids.shape[1] :]).strip()
    assert said.removesuffix("<|im_end|>").strip() == sample["after"]
    assert sample["before"] != sample["after"]
    text = "".join(path.read_text() for path in (folder / "artifacts").glob("*.json"))
    assert str(tiny) not in text


def test_the_samples_before_are_the_bases(train: Any) -> None:
    adapter = train("adapter", supervised={"hyperparameters": {"n_epochs": 1}, "samples": {"max_tokens": 8}})
    assert [row["before"] for row in samples(train("full"))] == [row["before"] for row in samples(adapter)]


def test_it_resumes_to_the_last_bit(train: Any, tmp_path: Path) -> None:
    supervised = {**FULL, "neftune_alpha": 5, "keep_best": "valid_loss", "eval_interval": 3}
    undisturbed = train("undisturbed", supervised=supervised)
    for step in (4, 8):
        checkpoint = tmp_path / f"checkpoint-{step}"
        shutil.copytree(undisturbed / "checkpoints" / f"step-{step}", checkpoint)
        resumed = train(f"from-{step}", supervised=supervised, resume_from=checkpoint)
        assert events(resumed, "metrics")[0]["step"] == step + 1
        after, expected = weights(resumed / "artifacts"), weights(undisturbed / "artifacts")
        assert all(torch.equal(after[name], expected[name]) for name in expected)
        assert results(resumed) == results(undisturbed)
        assert samples(resumed) == samples(undisturbed)


def test_the_best_weights_are_kept(train: Any) -> None:
    """The learning rate is so high that the loss goes up and down."""
    options = {"keep_best": "valid_loss", "eval_interval": 1, "checkpoint_interval": 1}
    supervised = {**FULL, **options, "optimization": {"learning_rate": 0.1, "warmup": 0, "schedule": "constant"}}
    folder = train("run", supervised=supervised)
    losses = {int(row["step"]): float(row["valid_loss"]) for row in results(folder)}
    step = min(losses, key=lambda step: losses[step])
    assert step < max(losses)
    kept, then = weights(folder / "artifacts"), weights(folder / "checkpoints" / f"step-{step}")
    assert all(torch.equal(kept[name], then[name]) for name in then)
    assert outcome(folder)["metrics"]["valid_loss"] == pytest.approx(losses[step])


def test_adapters_sit_on_it_and_merge_into_it(train: Any) -> None:
    """full → adapter → full: each job begins where the one before it has ended."""
    first = train("first") / "artifacts"
    adapter = train("adapter", base=first, base_model_name="ft:tiny-llama:org::1", supervised={"max_steps": 6})
    config = (adapter / "artifacts" / "adapter_config.json").read_text()
    assert '"base_model_name_or_path": "ft:tiny-llama:org::1"' in config
    # A learning rate so small that nothing moves: what comes out is what it began with.
    still = {"weights": "full", "max_steps": 1, "optimization": {"learning_rate": 1e-12}}
    last = train("last", base=first, start_adapter=adapter / "artifacts", supervised=still)
    said, expected = log_probabilities(last / "artifacts"), log_probabilities(first, adapter / "artifacts")
    assert torch.allclose(said, expected, atol=1e-5)
    assert not torch.allclose(said, log_probabilities(first), atol=1e-3)
    assert [row["before"] for row in samples(last)] == [row["after"] for row in samples(adapter)]


def test_the_same_seed_gives_the_same_weights(train: Any) -> None:
    one, two, other = (weights(train(name, seed=seed) / "artifacts") for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
