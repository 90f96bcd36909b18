"""PPO: what is sampled is the policy's, the reference stays the start, and a resumed run is the undisturbed one."""

import json
import random
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from pydantic import ValidationError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.rows.chat import Chat, Message
from core.rows.tokens import ChatTokenizer
from core.specs.asking import Ask
from core.specs.ppo import Ppo
from core.specs.run import RunSpec
from graders.score import Scorer
from tests.trainers.runs import (
    adapter_digest,
    error,
    events,
    last_checkpoint,
    outcome,
    results,
    samples,
    write_rows,
    write_spec,
)
from trainers import ppo_math, scores, weights
from trainers.asking import Supervisor
from trainers.finetuning import Run, longest_row, make_plan, read_files
from trainers.loading import load_tokenizer
from trainers.ppo import STATE, Lesson, Trainer, make_trainer
from trainers.ppo_answers import all_words, sample
from trainers.prompts import read_prompts
from trainers.run import run
from trainers.rundir import RunDir
from trainers.samples import SAMPLED_TOGETHER, as_read
from trainers.stopping import listening

LETTER = "a"
PPO: dict[str, Any] = {
    "reward_models": ["ftmodel-1"],
    "hyperparameters": {"n_epochs": 2, "batch_size": 4},
    "optimization": {"learning_rate": 1e-3, "warmup": 0},
    "max_completion_tokens": 8,
    "checkpoint_interval": 2,
    "eval_interval": 3,
    "samples": {"max_tokens": 8},
}
GRADER = {"type": "string_check", "name": "letter", "input": "{{sample.output_text}}", "reference": LETTER}


def prompts(numbers: range) -> list[dict[str, Any]]:
    return [{"messages": [{"role": "user", "content": f"say {i}" + "!" * (i % 5)}], "number": i} for i in numbers]


def pairs(count: int, *, swapped: random.Random | None = None) -> list[dict[str, str]]:
    """Of two words the one with more of the letter is right."""
    draw, rows = random.Random(0), []
    for i in range(count):
        words = ["".join(draw.choices("bcdefghij", k=8)) for _ in range(2)]
        at = draw.sample(range(8), draw.randint(1, 4))
        words[0] = "".join(LETTER if k in at else letter for k, letter in enumerate(words[0]))
        if swapped and swapped.random() < 0.5:
            words.reverse()
        rows.append({"prompt": f"say {i}" + "!" * (i % 5), "chosen": words[0], "rejected": words[1]})
    return rows


def reward_model(folder: Path, base: Path, rows: list[Any], *, seed: int = 0) -> Path:
    options = {"weights": "full", "max_steps": 60, "hyperparameters": {"batch_size": 8}, "samples": {"rows": 0}}
    options |= {"optimization": {"learning_rate": 1e-3}, "checkpoint_interval": 1000}
    training_file = write_rows(folder.with_suffix(".jsonl"), rows)
    assert run(write_spec(folder, base=base, training_file=training_file, seed=seed, reward_model=options)) == 0
    return folder / "artifacts"


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    return reward_model(tmp_path_factory.mktemp("judge") / "run", tiny, pairs(256))


@pytest.fixture
def write(tmp_path: Path, tiny: Path, judge: Path) -> Any:
    training_file = write_rows(tmp_path / "prompts.jsonl", prompts(range(14)))
    validation_file = write_rows(tmp_path / "valid.jsonl", prompts(range(100, 105)))

    def write(
        name: str, *, ppo: dict[str, Any] | None = None, judges: tuple[Path, ...] = (judge,), **given: Any
    ) -> Path:
        files = {"base": tiny, "training_file": training_file, "validation_file": validation_file}
        scorers = [{"base": str(folder)} for folder in judges]
        return write_spec(tmp_path / name, ppo=PPO | (ppo or {}), **files | {"reward_models": scorers} | given)

    return write


@pytest.fixture
def train(write: Any) -> Any:
    def train(name: str, *, status: int = 0, **fields: Any) -> Path:
        folder = write(name, **fields)
        assert run(folder) == status, error(folder)
        return folder

    return train


def series(folder: Path, name: str) -> list[float]:
    return [event["data"][name] for event in events(folder, "metrics")]


def rollouts(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "artifacts/rollouts.jsonl").read_text().splitlines()]


def trainer_of(folder: Path, *, ask: Ask | None = None) -> Trainer:
    """As `finetune` makes it."""
    spec, run_dir = RunSpec.model_validate_json((folder / "spec.json").read_bytes()), RunDir(folder)
    torch.manual_seed(0)
    model, tokens = weights.start(spec), ChatTokenizer.load(Path(spec.base_model))
    with listening() as stop:
        rows, _ = read_files(spec, run_dir, tokens, stop, read=read_prompts, limit=longest_row(spec))
    plan = make_plan(spec, rows, width=model.config.hidden_size)
    make: Any = partial(make_trainer, grading=Scorer(ask or Supervisor(None)))
    return make(Run(spec, run_dir, plan, model, load_tokenizer(spec), tokens, rows))


@torch.no_grad()
def drawn_by_hand(model: Any, prompt: list[int], *, count: int, ends: list[int], temperature: float) -> Any:
    """(tokens, log-probabilities) of an answer, without a cache, word by word."""
    ids, found = list(prompt), []
    while len(found) < count and not (found and ids[-1] in ends):
        logits = model(torch.tensor([ids])).logits[0, -1]
        by_word = (logits / temperature).log_softmax(-1)
        ids.append(int(torch.multinomial(by_word.exp(), 1)))
        found.append(float(by_word[ids[-1]]))
    return ids[len(prompt) :], found


def test_answers_are_drawn_from_the_whole_policy_and_their_log_probabilities_are_its_own(
    write: Any, tmp_path: Path, tiny: Path
) -> None:
    """Whatever the model's own configuration says of sampling."""
    base = shutil.copytree(tiny, tmp_path / "base")
    config = json.loads((base / "generation_config.json").read_text())
    config |= {"do_sample": True, "top_k": 3, "top_p": 0.5, "repetition_penalty": 5.0, "temperature": 0.2}
    (base / "generation_config.json").write_text(json.dumps(config))
    trainer = trainer_of(write("run", base=base, ppo={"temperature": 0.7}))
    model: Any = trainer.model
    for place in range(5):
        prompt = trainer.prompts.chosen([place])
        how = {"ends": trainer.ends, "temperature": 0.7}
        torch.manual_seed(place)
        (answer,) = sample(model.eval(), trainer.tokenizer, prompt, max_tokens=8, **how)
        torch.manual_seed(place)
        tokens, found = drawn_by_hand(model, prompt.tokens[0], count=8, **how)
        assert answer.tokens == tokens
        assert answer.ended == (tokens[-1] in trainer.ends)
    played = trainer.play(model, trainer.prompts)
    for i, answer in enumerate(played.answers):
        ids = answer.prompt_tokens + answer.tokens
        with torch.no_grad():
            by_word = (model(torch.tensor([ids])).logits[0] / 0.7).log_softmax(-1)[len(answer.prompt_tokens) - 1 : -1]
        found = by_word.gather(1, torch.tensor(answer.tokens)[:, None])[:, 0]
        entropy = -(by_word.exp() * by_word).sum(-1)
        count = len(answer)
        torch.testing.assert_close(played.words.log_probabilities[i, :count], found, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(played.words.entropies[i, :count], entropy, atol=1e-4, rtol=1e-4)
        assert not played.words.log_probabilities[i, count:].any()
    assert model.get_base_model().generation_config.top_k == 3  # what comes out says what the model said


def test_the_first_update_finds_the_policy_where_it_sampled(write: Any) -> None:
    """Ratios of 1: the gradient is that of the policy gradient theorem, however a step is laid out."""
    trainer = trainer_of(write("run", ppo={"value_coefficient": 1e-9, "whiten_advantages": False}))
    model: Any = trainer.model
    played = trainer.play(model, trainer.prompts)
    gained = torch.randn(played.mask.shape) * played.mask
    found = trainer.gradients(model.train(), Lesson(played, gained, gained, gained), list(range(len(played.answers))))
    assert float(found[2]) == pytest.approx(0, abs=1e-6)
    assert float(found[3]) == 0
    ours = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    loss = torch.zeros(())
    for i, answer in enumerate(played.answers):
        by_word = model(torch.tensor([answer.prompt_tokens + answer.tokens])).logits[0].log_softmax(-1)
        chosen = by_word[len(answer.prompt_tokens) - 1 : -1].gather(1, torch.tensor(answer.tokens)[:, None])[:, 0]
        loss = loss - (gained[i, : len(answer)] * chosen).sum() / int(played.mask.sum())
    loss.backward()
    assert ours
    for name, weight in model.named_parameters():
        if weight.grad is not None:
            torch.testing.assert_close(ours[name], weight.grad, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("options", [{}, {"weights": "full"}], ids=["adapter", "full"])
def test_the_reference_is_what_the_job_starts_from_also_after_a_resume(train: Any, options: Any) -> None:
    name = "model.safetensors" if options else "adapter_model.safetensors"
    first = train("first", ppo={"samples": {"rows": 0}})
    second = train("second", start_adapter=first / "artifacts", ppo=options)
    for folder in (first, second):
        distances = series(folder, "train_kl")
        assert distances[0] == pytest.approx(0, abs=1e-4)
        assert abs(distances[-1]) > 1e-3
    again = train("again", start_adapter=first / "artifacts", ppo=options, resume_from=second / "checkpoints/step-2")
    assert (again / "artifacts" / name).read_bytes() == (second / "artifacts" / name).read_bytes()
    assert series(again, "train_kl") == series(second, "train_kl")[2:]


def test_a_resumed_run_ends_with_the_same_bytes_and_the_same_rollouts(train: Any) -> None:
    options = {
        "lora": {"r": 8, "alpha": 16, "dropout": 0.1},
        "minibatches": 2,
        "kl_horizon": 40,
        "grader": GRADER | {"operation": "like"},
        "keep_best": "valid_reward_mean",
    }
    undisturbed = train("undisturbed", ppo=options)
    checkpoint = undisturbed / events(undisturbed, "checkpoint")[1]["path"]
    resumed = train("resumed", ppo=options, resume_from=checkpoint)
    assert events(resumed, "metrics")[0]["step"] == 5
    assert adapter_digest(resumed) == adapter_digest(undisturbed)
    assert results(resumed) == results(undisturbed)
    assert rollouts(resumed) == rollouts(undisturbed)
    assert samples(resumed) == samples(undisturbed)
    coefficients = series(undisturbed, "train_kl_coefficient")
    assert len(set(coefficients)) == len(coefficients)
    assert series(resumed, "train_kl_coefficient") == coefficients[4:]
    states = [load_file(last_checkpoint(folder) / STATE) for folder in (undisturbed, resumed)]
    assert states[0]["weight"].any()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert outcome(resumed)["trained_tokens"] == outcome(undisturbed)["trained_tokens"]


def test_validations_do_not_touch_what_training_draws(train: Any) -> None:
    runs = [train(name, ppo={"eval_interval": interval}) for name, interval in (("often", 1), ("rarely", 100))]
    assert adapter_digest(runs[0]) == adapter_digest(runs[1])
    assert len([row for row in results(runs[0]) if row["valid_reward_mean"]]) == 8
    assert results(runs[0])[-1]["valid_kl"] == results(runs[1])[-1]["valid_kl"]


def test_what_comes_out_is_one_adapter_with_rollouts_and_samples_beside_it(train: Any, tiny: Path, judge: Path) -> None:
    first = train("first")
    folder = train("run", judges=(judge, judge), start_adapter=first / "artifacts", ppo={"kl_coefficient": 0.5})
    for place in (folder / "artifacts", last_checkpoint(folder)):
        assert not (place / "ref").exists()
        adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), str(place))
        assert list(adapted.peft_config) == ["default"]
    assert not (folder / "artifacts" / STATE).exists()
    assert [set(line) for line in samples(folder)] == [{"row", "prompt", "before", "after"}] * 5
    kept = rollouts(folder)
    assert [line["step"] for line in kept] == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4] + [
        step + 4 for step in (1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4)
    ]
    assert [line["number"] for line in kept] == list(range(28))
    assert {line["row"] for line in kept} == set(range(14))
    for line, metrics in zip((kept[4:8], kept[8:12]), events(folder, "metrics")[1:3], strict=True):
        mean = sum(one["reward"] for one in line) / 4
        assert mean == pytest.approx(metrics["data"]["train_reward_mean"], abs=1e-5)
    for one in kept:
        parts = one["rewards"]
        assert parts["reward_model_1"] == parts["reward_model_2"]
        assert parts["score"] == pytest.approx(parts["reward_model_1"] - one["truncated"])
    assert series(folder, "train_score_spread") == [0] * 8


def test_answers_are_scored_as_the_reward_model_has_learnt_to_read_them(write: Any, judge: Path) -> None:
    """Prompt, words and the end of the turn, with whatever the template writes behind it."""
    trainer = trainer_of(write("run", ppo={"missing_eos_penalty": 0}))
    played = trainer.play(trainer.model, trainer.prompts)
    tokens, model = ChatTokenizer.load(judge), scores.load(judge)
    for answer, judged in zip(played.answers, played.judged, strict=True):
        chat = Chat([*answer.prompt.messages, Message("assistant", answer.text, trained=True)])
        if tokens.encode(answer.text) == answer.tokens[: len(answer.tokens) - answer.ended]:
            assert judged.score == pytest.approx(scores.score([model], [chat], tokens)[0].mean, abs=1e-4)


@pytest.mark.parametrize(("eval_interval", "before"), [(100, 1), (1, 0)])
def test_a_step_past_the_limit_ends_the_job_and_names_the_checkpoint_from_before(
    train: Any, eval_interval: int, before: int
) -> None:
    """Found by the next step's answers, or by the step's own validation."""
    options = {"kl_limit": 0.5, "kl_target": None, "checkpoint_interval": 1, "eval_interval": eval_interval}
    folder = train("run", status=1, ppo=options | {"optimization": {"learning_rate": 2e-2, "warmup": 2}})
    said, last = error(folder), events(folder, "checkpoint")[-1]["step"]
    assert (said["code"], said["param"], said["retryable"]) == ("diverged", "method.ppo.kl_limit", False)
    assert f"at step {last + 1}; the last good checkpoint is that of step {last - before}" in said["message"]
    assert all(distance <= 0.5 for distance in series(folder, "train_kl"))


@pytest.mark.parametrize("given", [{}, {"validation_file": None}], ids=["validation", "none"])
def test_the_last_step_is_held_to_the_limit_too(train: Any, given: dict[str, None]) -> None:
    options = {"kl_limit": 0.5, "kl_target": None, "hyperparameters": {"n_epochs": 1, "batch_size": 14}}
    options |= {"optimization": {"learning_rate": 5e-2, "warmup": 0}}
    folder = train("run", status=1, ppo=options, **given)
    assert (error(folder)["code"], error(folder)["param"]) == ("diverged", "method.ppo.kl_limit")
    assert not events(folder, "checkpoint")


def test_what_holds_the_last_step_to_the_limit_changes_nothing(train: Any) -> None:
    runs = [train(str(limit), ppo={"kl_limit": limit}, validation_file=None) for limit in (None, 1e5)]
    assert adapter_digest(runs[0]) == adapter_digest(runs[1])


def test_no_more_is_sampled_at_once_than_memory_is_meant_for(write: Any) -> None:
    trainer = trainer_of(write("run"))
    model: Any = trainer.model
    asked, sizes = trainer.prompts.chosen([i % 14 for i in range(200)]), list[int]()

    def note(_: Any, __: Any, given: dict[str, Any]) -> None:
        sizes.append(len(given["input_ids"]))

    anything = {"ends": list(range(model.config.vocab_size)), "temperature": 1.0}  # each answer has one token
    with model.get_base_model().register_forward_pre_hook(note, with_kwargs=True):
        for max_tokens, largest in ((8, 128), (2000, SAMPLED_TOGETHER // (2000 + asked.longest))):
            sizes.clear()
            answers = sample(model.eval(), trainer.tokenizer, asked, max_tokens=max_tokens, **anything)
            assert (len(answers), max(sizes)) == (200, largest)
    assert 1 < largest < 128


def test_a_step_learns_what_the_equations_say_of_its_options(write: Any) -> None:
    options = {"gamma": 0.9, "gae_lambda": 0.8, "whiten_advantages": False}
    trainer = trainer_of(write("run", ppo=options))
    torch.nn.init.normal_(trainer.head.weight)
    played = trainer.play(trainer.model, trainer.prompts)
    played = replace(played, log_ratios=torch.randn(played.mask.shape) * played.mask)
    found = trainer.lesson(played, kl_coefficient=0.3)
    rewards = ppo_math.token_rewards(played.scores, played.log_ratios, played.mask, kl_coefficient=0.3)
    expected = ppo_math.advantages(rewards, played.words.values, played.mask, gamma=0.9, gae_lambda=0.8)
    assert played.words.values.std() > 0
    torch.testing.assert_close(found.gained, expected)
    torch.testing.assert_close(found.advantages, expected)
    torch.testing.assert_close(found.returns, expected + played.words.values)
    trainer.options = trainer.options.model_copy(update={"whiten_advantages": True})
    whitened = trainer.lesson(played, kl_coefficient=0.3)
    torch.testing.assert_close(whitened.advantages, ppo_math.whitened(expected, played.mask))
    torch.testing.assert_close(whitened.returns, expected + played.words.values)


def test_a_step_makes_all_its_updates_and_each_learns_from_each_answer_once(
    write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(write("run", ppo={"ppo_epochs": 3, "minibatches": 2}))
    trainer.create_optimizer()
    played = trainer.play(trainer.model, trainer.prompts.chosen([0, 1, 2, 3]))
    lesson = trainer.lesson(played, kl_coefficient=0.1)
    batches: list[list[int]] = []
    steps: list[None] = []
    learn, optimizer = trainer.gradients, trainer.optimizer
    assert optimizer is not None
    step = optimizer.step
    monkeypatch.setattr(trainer, "gradients", lambda *given: (batches.append(given[2]), learn(*given))[1])
    monkeypatch.setattr(optimizer, "step", lambda: (steps.append(None), step())[1])
    trainer.update(trainer.model, lesson)
    assert [sorted(batches[i] + batches[i + 1]) for i in (0, 2, 4)] == [[0, 1, 2, 3]] * 3
    assert len(batches) == 6
    assert len(steps) == 5  # the last one is the Trainer's


@pytest.mark.parametrize("clip_range", [0.2, None])
def test_values_are_clipped_as_the_options_say(write: Any, clip_range: float | None) -> None:
    trainer = trainer_of(write("run", ppo={"value_clip_range": clip_range, "value_coefficient": 1.0}))
    played = trainer.play(trainer.model, trainer.prompts)
    torch.nn.init.normal_(trainer.head.weight)  # values have moved since
    lesson = trainer.lesson(played, kl_coefficient=0.0)
    found = trainer.gradients(trainer.model, lesson, list(range(len(played.answers))))[1]
    mask = played.mask
    with torch.no_grad():
        moved = all_words(trainer.model, trainer.head, played.answers, mask, temperature=1.0).values
    expected = ppo_math.value_losses(
        moved[mask], played.words.values[mask], lesson.returns[mask], clip_range=clip_range
    )
    assert float(found) == pytest.approx(float(expected.sum() / mask.sum()), rel=1e-4)


def test_a_reward_model_that_reads_less_than_the_policy_writes_is_refused(
    write: Any, train: Any, tmp_path: Path, judge: Path
) -> None:
    """In answer to prompts of the training, or of the validation, which have two tokens more."""
    short = shutil.copytree(judge, tmp_path / "short")
    config = json.loads((short / "config.json").read_text())
    trainer = trainer_of(write("layout"))
    enough = trainer.prompts.longest + trainer.max_tokens
    for context, longest in ((16, enough), (enough, enough + 2)):
        (short / "config.json").write_text(json.dumps(config | {"max_position_embeddings": context}))
        said = error(train(str(context), status=1, judges=(judge, short)))
        assert (said["code"], said["param"]) == ("invalid_spec", "method.ppo.reward_models[1]")
        assert f"it reads {context} tokens, but a prompt and its answer may have {longest};" in said["message"]
    train("alone", judges=(judge, short), validation_file=None)


def test_a_think_block_that_the_prompt_opens_is_part_of_what_graders_read(tiny: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny)
    ends = [tokenizer.eos_token_id]
    said = tokenizer("1+1</think>2", add_special_tokens=False)["input_ids"] + ends
    opened, plain = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("assistant\n<think>\n", "assistant\n")
    )
    assert as_read(tokenizer, opened, said, ends) == "<think>\n1+1</think>2"
    assert as_read(tokenizer, plain, said, ends) == "1+1</think>2"


def test_another_tokenizer_is_refused_before_weights_are_loaded(
    train: Any, tmp_path: Path, tiny: Path, judge: Path
) -> None:
    base = shutil.copytree(tiny, tmp_path / "base")
    (base / "model.safetensors").unlink()
    for name, change in (("vocabulary", lambda it: it.add_tokens(["word"])), ("eos_token", end_by_padding)):
        other = shutil.copytree(judge, tmp_path / name)
        tokenizer: Any = AutoTokenizer.from_pretrained(other)
        change(tokenizer)
        tokenizer.save_pretrained(other)
        said = error(train(f"run-{name}", status=1, base=base, judges=(judge, other)))
        assert (said["code"], said["param"]) == ("tokenizer_mismatch", "method.ppo.reward_models[1]")
        assert name in said["message"]


def end_by_padding(tokenizer: Any) -> None:
    tokenizer.eos_token = "<|im_start|>"


def test_a_policy_is_no_reward_model(train: Any, tiny: Path) -> None:
    said = error(train("run", status=1, judges=(tiny,)))
    assert (said["code"], said["param"]) == ("invalid_spec", "method.ppo.reward_models")


def test_a_grader_that_always_fails_ends_the_job_with_its_own_error(train: Any) -> None:
    grader = {"type": "python", "name": "broken", "source": "def grade(sample, item):\n    return 1 / 0\n"}
    said = error(train("run", status=1, ppo={"grader": grader}))
    assert (said["code"], said["param"]) == ("grader_failed", "method.ppo.grader")
    assert "division" in said["message"]


def test_prompts_that_leave_no_room_are_told_or_left_out(train: Any, tmp_path: Path) -> None:
    rows = [*prompts(range(6)), {"problem": "x" * 80}]
    given: dict[str, Any] = {"training_file": write_rows(tmp_path / "long.jsonl", rows)}
    said = error(train("refused", status=1, ppo={"max_length": 64}, **given))
    assert (said["code"], said["param"]) == ("invalid_file", "training_file")
    assert said["message"].startswith("training_file: line 7: has ")
    said = error(train("no_room", status=1, ppo={"max_completion_tokens": 2040}))
    assert said["param"] == "training_file"
    assert "without max_completion_tokens" in said["message"]
    said = error(train("nothing_left", status=1, ppo={"max_completion_tokens": 2048}))
    assert said["param"] == "method.ppo.max_completion_tokens"
    folder = train("dropped", ppo={"max_length": 64, "long_rows": "drop"}, **given)
    assert {line["row"] for line in rollouts(folder)} == set(range(6))


def test_minibatches_have_to_divide_a_step() -> None:
    with pytest.raises(ValidationError, match="3 does not divide the 8 answers") as refused:
        Ppo.model_validate({"reward_models": ["m"], "minibatches": 3})
    assert refused.value.errors()[0]["ctx"]["error"].key == "minibatches"
    Ppo.model_validate({"reward_models": ["m"], "minibatches": 3, "hyperparameters": {"batch_size": 9}})


def test_what_a_reward_model_likes_is_said_more_often_and_by_one_of_chance_it_is_not(
    train: Any, tmp_path: Path, tiny: Path, judge: Path
) -> None:
    training_file = write_rows(tmp_path / "t.jsonl", prompts(range(64)))
    options = {
        "weights": "full",
        "max_steps": 30,
        "hyperparameters": {"batch_size": 32},
        "kl_target": None,
        "missing_eos_penalty": 0,
        "checkpoint_interval": 100,
        "eval_interval": 100,
        "samples": {"rows": 0},
    }
    chance = reward_model(tmp_path / "chance", tiny, pairs(256, swapped=random.Random(0)))
    shares = {}
    for name, one in (("learnt", judge), ("control", chance)):
        folder = train(name, judges=(one,), ppo=options, training_file=training_file)
        said = rollouts(folder)
        last = [line["completion"] for line in said if line["step"] > 20]
        shares[name] = sum(text.count(LETTER) for text in last) / max(1, sum(map(len, last)))
    assert shares["learnt"] > 5 * max(shares["control"], 0.01)
