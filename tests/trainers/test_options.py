"""Options of supervised jobs, each by what it changes."""

import importlib.util
import math
import socket
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from tensorboardX.proto.event_pb2 import Event
from transformers import AutoModelForCausalLM

from tests.trainers.runs import (
    adapter_digest,
    error,
    events,
    last_checkpoint,
    outcome,
    pair,
    results,
    samples,
    write_rows,
    write_spec,
)
from trainers.noise import EmbeddingNoise
from trainers.run import run

ROWS = 24
STEPS = 4


@pytest.fixture
def trained(tmp_path: Path, tiny: Path, few_rows: Path, valid_rows: Path) -> Any:
    """Runs a job of these options, by a name, to its end; answers its run directory."""

    def train(name: str, *, status: int = 0, **fields: Any) -> Path:
        run_fields = {key: fields.pop(key) for key in ("resume_from", "max_duration_seconds", "seed") if key in fields}
        files: dict[str, Any] = {"training_file": fields.pop("training_file", few_rows)}
        if fields.pop("validate", True):
            files["validation_file"] = valid_rows
        supervised = {"samples": {"rows": 0}, "max_steps": STEPS, **fields}
        folder = write_spec(tmp_path / name, base=tiny, supervised=supervised, **files, **run_fields)
        assert run(folder) == status, (folder / "log.txt").exists() or folder
        return folder

    return train


def series(folder: Path, name: str) -> list[Any]:
    return [event["data"][name] for event in events(folder, "metrics")]


@pytest.mark.parametrize(
    ("lora", "modules"),
    [
        ({"target_modules": "attention"}, {"q_proj", "k_proj", "v_proj", "o_proj"}),
        ({"target_modules": "mlp", "rslora": True}, {"gate_proj", "up_proj", "down_proj"}),
        ({"target_modules": ["q_proj", "down_proj"], "dora": True}, {"q_proj", "down_proj"}),
        ({"target_modules": ["self_attn.q_proj"], "init": "gaussian"}, {"self_attn.q_proj"}),
        ({"init": "orthogonal"}, {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
    ],
)
def test_adapters_of_any_shape_begin_as_the_base_and_load_with_plain_peft(
    trained: Any, tiny: Path, lora: dict[str, Any], modules: set[str]
) -> None:
    plain = trained("plain", max_steps=1)
    shaped = trained("shaped", lora={"r": 4, **lora})
    assert series(shaped, "train_loss")[0] == pytest.approx(series(plain, "train_loss")[0], rel=1e-5)
    model: Any = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32), str(shaped / "artifacts")
    )
    config = model.peft_config["default"]
    assert set(config.target_modules) == modules
    assert (config.use_rslora, config.use_dora) == (lora.get("rslora", False), lora.get("dora", False))
    names = load_file(shaped / "artifacts" / "adapter_model.safetensors")
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in names} == {m.rpartition(".")[2] for m in modules}


def test_a_layer_that_the_model_has_not_is_named_with_those_it_has(trained: Any) -> None:
    said = error(trained("wrong", status=1, lora={"target_modules": ["q_proj", "query"]}))
    assert said["param"] == "method.supervised.lora.target_modules"
    assert "no 'query'; its linear layers are down_proj, gate_proj" in said["message"]


def test_an_adapter_is_not_continued_in_another_shape(tmp_path: Path, tiny: Path, few_rows: Path, trained: Any) -> None:
    first = trained("first", lora={"r": 4, "target_modules": "attention"})
    for name, lora in (("target_modules", {"r": 4, "target_modules": "mlp"}), ("rslora", {"r": 4, "rslora": True})):
        folder = write_spec(
            tmp_path / name,
            base=tiny,
            training_file=few_rows,
            supervised={"lora": {"target_modules": "attention", **lora}},
            start_adapter=first / "artifacts",
        )
        assert run(folder) == 1
        assert error(folder)["param"] == f"method.supervised.lora.{name}"


def falling(step: int) -> float:
    """Behind two steps of warm-up, of ten."""
    return (10 - step) / 8


@pytest.mark.parametrize(
    ("schedule", "factor"),
    [
        ("linear", falling),
        ("cosine", lambda step: 0.5 * (1 + math.cos(math.pi * (step - 2) / 8))),
        ("constant", lambda _: 1.0),
    ],
)
def test_the_learning_rate_rises_and_falls_as_asked(trained: Any, schedule: str, factor: Any) -> None:
    optimization = {"learning_rate": 1e-4, "schedule": schedule, "warmup": 2}
    folder = trained(schedule, max_steps=10, optimization=optimization, hyperparameters={"learning_rate_multiplier": 3})
    expected = [3e-4 * (step / 2 if step < 2 else factor(step)) for step in range(10)]
    assert series(folder, "learning_rate") == pytest.approx(expected)


def test_a_share_of_warm_up_is_rounded_down(trained: Any) -> None:
    few = series(trained("few", max_steps=10), "learning_rate")
    more = series(trained("more", max_steps=10, optimization={"warmup": 0.29}), "learning_rate")
    assert few[0] == max(few)  # no step that changes nothing
    assert more[:3] == pytest.approx([0, more[2] / 2, max(more)])


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor", "sgd"])
def test_every_optimizer_learns(trained: Any, optimizer: str) -> None:
    rate = {"adamw": 1e-2, "adafactor": 1e-2, "sgd": 1.0}[optimizer]
    folder = trained(optimizer, max_steps=15, optimization={"optimizer": optimizer, "learning_rate": rate})
    losses = series(folder, "train_loss")
    assert losses[-1] < losses[0] - 0.1


def test_weight_decay_and_clipping_change_the_steps(trained: Any) -> None:
    steps = {"learning_rate": 1e-2, "schedule": "constant", "warmup": 0}
    plain = trained("plain", optimization=steps)
    decayed = trained("decayed", optimization={**steps, "weight_decay": 0.5})
    clipped = trained("clipped", optimization={**steps, "optimizer": "sgd", "max_grad_norm": 1e-6})
    free = trained("free", optimization={**steps, "optimizer": "sgd", "max_grad_norm": 0})
    assert len({adapter_digest(folder) for folder in (plain, decayed, clipped, free)}) == 4
    assert size(decayed, "lora_A") < size(plain, "lora_A")
    assert size(clipped, "lora_B") <= STEPS * 1e-2 * 1e-6 < size(free, "lora_B")


def size(folder: Path, part: str) -> float:
    """The norm of all weights of that name."""
    weights = load_file(folder / "artifacts" / "adapter_model.safetensors")
    return math.sqrt(sum(float(weight.square().sum()) for name, weight in weights.items() if part in name))


def test_steps_in_place_of_epochs(trained: Any) -> None:
    folder = trained("long", max_steps=7, hyperparameters={"batch_size": 8}, packing="off")
    (resolved,) = events(folder, "resolved")
    assert (resolved["total_steps"], resolved["hyperparameters"]["n_epochs"]) == (7, 3)  # three steps a pass
    assert outcome(folder)["step"] == 7


def test_without_packing_a_step_is_the_same_step(trained: Any) -> None:
    """All rows in one step: the same loss, the same gradient, however they lie in sequences."""
    shared, alone = (
        trained(packing, packing=packing, max_steps=1, hyperparameters={"batch_size": 2 * ROWS})
        for packing in ("auto", "off")
    )
    for name in ("train_loss", "grad_norm", "valid_loss", "train_mean_token_accuracy"):
        assert series(alone, name) == pytest.approx(series(shared, name), rel=1e-4)
    assert outcome(alone)["trained_tokens"] == outcome(shared)["trained_tokens"]


def test_noise_on_embeddings_is_for_training_alone(trained: Any) -> None:
    still = {"learning_rate": 1e-12}
    plain, noisy = (trained(f"{alpha}", neftune_alpha=alpha, optimization=still) for alpha in (None, 10))
    assert series(noisy, "train_loss")[0] != pytest.approx(series(plain, "train_loss")[0], rel=1e-4)
    assert outcome(noisy)["metrics"]["valid_loss"] == pytest.approx(outcome(plain)["metrics"]["valid_loss"], rel=1e-5)


def test_noise_is_as_large_as_the_rows_are_short() -> None:
    """Rows that share a sequence get what each would get alone."""
    noise, width = EmbeddingNoise(8.0), 64
    embeddings = torch.nn.Embedding(10, width)
    still = torch.zeros(1, 410, width)
    noise.begin(
        {"input_ids": torch.zeros(1, 410, dtype=torch.long), "position_ids": torch.tensor([[*range(10), *range(400)]])}
    )
    noisy = noise(embeddings, None, still)
    for part, length in ((noisy[0, :10], 10), (noisy[0, 10:], 400)):
        most = 8 / math.sqrt(length * width)
        assert 0.97 * most < float(part.abs().max()) <= most
        assert float(part.mean()) == pytest.approx(0, abs=0.1 * most)
    noise.begin({"input_ids": torch.zeros(1, 410, dtype=torch.long)})
    assert float(noise(embeddings, None, still).abs().max()) <= 8 / math.sqrt(410 * width)
    assert noise(embeddings.eval(), None, still) is still


@pytest.mark.parametrize(
    ("long_rows", "kept", "words"), [("truncate", 3, "2 were cut off there, 1 were"), ("drop", 1, "0 were cut off")]
)
def test_longer_rows_are_cut_off_or_left_out_and_told(
    tmp_path: Path, trained: Any, long_rows: str, kept: int, words: str
) -> None:
    """One fits, two reach beyond in their answer, one in its prompt."""
    rows = [pair("a", "b"), pair("x", "y" * 100), pair("z", "y" * 100), pair("x" * 100, "y")]
    folder = trained(
        "long",
        training_file=write_rows(tmp_path / "rows.jsonl", rows),
        max_length=64,
        long_rows=long_rows,
        packing="off",
        max_steps=1,
        hyperparameters={"batch_size": 8},
    )
    told = [event["message"] for event in events(folder, "message") if event["level"] == "warn"]
    assert len(told) == 1
    assert told[0].startswith("training_file: 3 of 4 rows have more than 64 tokens")
    assert words in told[0]
    fits = 2  # the answer and its end of turn
    prompt = 64 - (outcome(folder)["trained_tokens"] - fits) / max(1, kept - 1)
    assert kept == 1 or 0 < prompt < 64
    assert any(event["message"].startswith(f"{kept} rows of ") for event in events(folder, "message"))


def test_rows_are_held_out_by_the_seed(tmp_path: Path, few_rows: Path, trained: Any) -> None:
    options = {"validate": False, "validation_split": 0.25, "samples": {"max_tokens": 1}}
    first, again, other = (trained(f"{k}", seed=seed, **options) for k, seed in enumerate((1, 1, 2)))
    held = [[row["expected"] for row in samples(folder)] for folder in (first, again, other)]
    assert held[0] == held[1] != held[2]
    assert len(held[0]) == ROWS / 4
    said = [event["message"] for event in events(first, "message")]
    assert any(f"{ROWS * 3 // 4} rows of" in message and "6 rows for validation" in message for message in said)
    # An epoch trains the tokens of the others and of no others.
    whole = trained(
        "whole", validate=False, validation_split=0.25, max_steps=None, hyperparameters={"n_epochs": 1}, seed=1
    )
    everything = trained("everything", validate=False, max_steps=None, hyperparameters={"n_epochs": 1})
    missing = outcome(everything)["trained_tokens"] - outcome(whole)["trained_tokens"]
    assert missing == sum(len(answer) + 1 for answer in held[0])


def test_a_row_that_is_alone_is_not_held_out(tmp_path: Path, trained: Any) -> None:
    one = write_rows(tmp_path / "one.jsonl", [pair("a", "b")])
    said = error(trained("one", status=1, training_file=one, validate=False, validation_split=0.5))
    assert said["param"] == "method.supervised.validation_split"


def test_it_stops_early_when_validation_gets_no_better(trained: Any) -> None:
    stopping = {"patience": 2, "min_delta": 0.01}
    still, moving = (
        trained(
            f"{rate}",
            max_steps=20,
            eval_interval=2,
            early_stopping=stopping,
            optimization={"learning_rate": rate, "schedule": "constant"},
        )
        for rate in (1e-12, 5e-3)
    )
    assert (outcome(still)["outcome"], outcome(still)["step"]) == ("succeeded", 6)  # validated at 2, 4, 6
    assert any("Stopping early" in event["message"] for event in events(still, "message"))
    assert events(still, "checkpoint")[-1]["step"] == 6
    assert len(results(still)) == 6
    assert outcome(moving)["step"] == 20


def test_a_run_that_stopped_early_is_not_taken_up_again(trained: Any) -> None:
    options = {"max_steps": 20, "eval_interval": 2, "early_stopping": {"patience": 2, "min_delta": 10.0}}
    first = trained("first", **options)
    second = trained("second", resume_from=last_checkpoint(first), **options)
    assert events(second, "metrics") == []
    assert adapter_digest(second) == adapter_digest(first)


@pytest.mark.parametrize("metric", ["valid_loss", "valid_mean_token_accuracy"])
def test_the_best_weights_are_kept(tmp_path: Path, trained: Any, metric: str) -> None:
    """Rows that teach another thing: the last validation is not the best one."""
    options = {
        "training_file": write_rows(tmp_path / "other.jsonl", [pair(f"say {i}", "z" * 9) for i in range(ROWS)]),
        "max_steps": 12,
        "eval_interval": 1,
        "checkpoint_interval": 1,
        "keep_best": metric,
        "optimization": {"learning_rate": 0.02, "schedule": "constant", "warmup": 0},
    }
    folder = trained(metric, **options)
    figures = series(folder, metric)
    best = min(figures) if metric == "valid_loss" else max(figures)
    step = figures.index(best) + 1
    assert step < 12
    kept = load_file(folder / "artifacts" / "adapter_model.safetensors")
    then = load_file(folder / "checkpoints" / f"step-{step}" / "adapter_model.safetensors")
    assert all(torch.equal(kept[name], then[name]) for name in then)
    assert outcome(folder)["metrics"][metric] == best
    # The last checkpoint has the best weights with it: an attempt that begins there yields the same.
    again = trained("again", resume_from=last_checkpoint(folder), **options)
    assert adapter_digest(again) == adapter_digest(folder)


@pytest.mark.parametrize("lora", [{}, {"dora": True, "rslora": True}])
def test_merged_weights_say_what_the_adapter_says(
    trained: Any, tiny: Path, lora: dict[str, Any], tmp_path: Path
) -> None:
    folder = trained("merged", lora={"r": 8, **lora}, merged_weights=True, optimization={"learning_rate": 1e-2})
    base = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    before = log_probabilities(base)
    expected = log_probabilities(PeftModel.from_pretrained(base, str(folder / "artifacts")))
    merged = AutoModelForCausalLM.from_pretrained(folder / "artifacts" / "merged", dtype=torch.float32)
    torch.testing.assert_close(log_probabilities(merged), expected, atol=1e-4, rtol=0)
    assert (expected - before).abs().max() > 0.01
    written = [
        path for path in (folder / "artifacts" / "merged").iterdir() if str(tmp_path).encode() in path.read_bytes()
    ]
    assert written == []


@torch.no_grad()
def log_probabilities(model: Any) -> torch.Tensor:
    return model(torch.arange(20, 60)[None]).logits.log_softmax(-1)


def test_tensorboard_reads_the_figures(trained: Any) -> None:
    folder = trained("seen", tensorboard=True, eval_interval=2)
    (file,) = (folder / "artifacts" / "tensorboard").iterdir()
    assert file.name == "events.out.tfevents.tunesmith"
    written = [
        (value.tag, event.step, value.simple_value)
        for event in tensorboard_events(file.read_bytes())
        for value in event.summary.value
    ]
    for name in ("train_loss", "learning_rate", "valid_loss"):
        told = [(event["step"], event["data"].get(name)) for event in events(folder, "metrics")]
        expected = [(step, pytest.approx(value)) for step, value in told if value is not None]
        assert [(step, value) for tag, step, value in written if tag == name] == expected
    assert socket.gethostname().encode() not in file.read_bytes()


def tensorboard_events(data: bytes) -> Iterator[Event]:
    """Of a file of TFRecords: length, its checksum, bytes, their checksum."""
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event()
        event.ParseFromString(data[12 : 12 + length])
        yield event
        data = data[16 + length :]


def test_time_that_is_over_ends_the_job_at_a_checkpoint(trained: Any) -> None:
    options = {"max_steps": 6, "checkpoint_interval": 100, "lora": {"dropout": 0.1}}
    undisturbed = trained("undisturbed", **options)
    over = trained("over", status=1, max_duration_seconds=1e-6, **options)
    assert (error(over)["code"], error(over)["retryable"]) == ("max_duration_exceeded", False)
    assert error(over)["param"] == "max_duration_seconds"
    assert [event["step"] for event in events(over, "checkpoint")] == [1]
    again = trained("again", status=1, max_duration_seconds=1e-6, resume_from=last_checkpoint(over), **options)
    assert events(again, "metrics") == []
    longer = trained("longer", resume_from=last_checkpoint(over), **options)
    assert adapter_digest(longer) == adapter_digest(undisturbed)


def test_figures_of_each_step(trained: Any) -> None:
    folder = trained("figures")
    assert all(earlier <= later for earlier, later in pairwise(series(folder, "peak_memory_bytes")))
    assert min(series(folder, "peak_memory_bytes")) > 50 * 1024**2
    assert all("model_flops_utilization" not in event["data"] for event in events(folder, "metrics"))  # a CPU's peak?


def test_a_base_of_four_bits_is_refused_where_it_cannot_be(trained: Any) -> None:
    folder = trained("run", status=1, quantization="4bit")
    key = "method.supervised.quantization"
    assert (error(folder)["code"], error(folder)["param"]) == ("quantization_unavailable", key)
    message = f"{key}: a base of 4 bits needs a GPU and bitsandbytes, but the job runs on a CPU"
    assert error(folder)["message"] == message


@pytest.mark.gpu
@pytest.mark.skipif(
    not torch.cuda.is_available() or importlib.util.find_spec("bitsandbytes") is None,
    reason="no GPU with bitsandbytes: that a base of 4 bits is trained on is not shown",
)
def test_a_base_of_four_bits_is_trained_on(tmp_path: Path, tiny: Path, few_rows: Path) -> None:
    supervised = {"quantization": "4bit", "hyperparameters": {"n_epochs": 3}}
    folder = write_spec(tmp_path / "run", base=tiny, supervised=supervised, training_file=few_rows, devices=[0])
    assert run(folder) == 0
    losses = series(folder, "train_loss")
    assert float(losses[-1]) < float(losses[0])


def test_small_steps_take_one_thread_unless_the_worker_says_how_many(
    tmp_path: Path, tiny: Path, few_rows: Path
) -> None:
    found = {}
    before = torch.get_num_threads()
    try:
        for threads in (None, 2):
            torch.set_num_threads(3)
            fields: dict[str, Any] = {"base": tiny, "training_file": few_rows, "threads": threads}
            assert run(write_spec(tmp_path / str(threads), supervised={"max_steps": 1}, **fields)) == 0
            found[threads] = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    assert found == {None: 1, 2: 2}
