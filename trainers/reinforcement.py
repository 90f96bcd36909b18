"""Group-relative policy optimisation: TRL's GRPOTrainer, which is handed tokens and what our graders say.

To TRL a prompt is its place among the rows; its tokens are looked up. One list holds the prompts of all passes in the
order that the seed draws, so that a resumed run goes on with the next ones. The reference is made as for
`trainers.dpo`.
"""

import importlib.util
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, count, cycle, islice
from typing import Any

import torch
from datasets import Dataset
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from core.rows import packing
from core.rows.template import as_dicts
from core.specs.reinforcement import Reinforcement, ReinforcementMethod
from core.specs.rollouts import Rollout
from core.specs.run import RunResult, RunSpec
from graders.score import Scorer
from trainers import weights
from trainers.adapters import still_reference
from trainers.answers import Judge, figures, weights_of_parts
from trainers.asking import Supervisor
from trainers.finetuning import Method, Run, finetune, longest_row
from trainers.grading import error_of
from trainers.progress import Progress
from trainers.prompts import Prompts, read_prompts
from trainers.rollouts import Rollouts
from trainers.rundir import RunDir
from trainers.samples import SAMPLED_TOGETHER, answered, ends_of_turn, write_answers
from trainers.scoring import Score
from trainers.stopping import StopRequest

FIGURES = {  # TRL's name of what it measures of a part: ours
    "kl": "kl",
    "entropy": "entropy",
    "clip_ratio/region_mean": "clip_fraction",
    "cispo_clip_ratio": "clip_fraction",
}
COLUMNS = {
    "train_loss": "train_loss",
    "train_reward_mean": "train_reward_mean",
    "train_kl": "train_kl",
    "train_entropy": "train_entropy",
    "completion_tokens_mean": "completion_tokens_mean",
    "valid_reward_mean": "valid_reward_mean",
}


def train(spec: RunSpec, run_dir: RunDir, stop: StopRequest) -> RunResult:
    """Run one job on prompts in its run directory.

    Raises what `finetune` does, and SpecError where too many answers of a step can't be graded.
    """
    with Scorer(Supervisor(spec.asking)) as scorer:
        make = partial(make_trainer, scorer)
        return finetune(
            spec,
            run_dir,
            stop,
            Method(read_prompts, make, validation, lambda *_: math.inf, COLUMNS, samples=write_answers),
        )


def make_trainer(scorer: Scorer, run: Run) -> "Trainer":
    spec, options = run.spec, options_of(run.spec)
    ends = ends_of_turn(run.model, run.tokenizer, run.tokens, answered(run.rows.content[0]))
    run.model.generation_config.eos_token_id = ends
    warn = partial(run.run_dir.say, level="warn")
    judge = Judge(scorer, options, run.tokenizer, ends=ends, warn=warn)
    parts = weights_of_parts(options)
    rewards: list[Any] = [partial(part_of_reward, judge, part) for part in parts] or [partial(reward, judge)]
    completion = options.completion_tokens(context=run.model.config.max_position_embeddings)
    run.run_dir.say(f"{options.answers} answers to each prompt, of {completion} tokens at most")
    batches = math.ceil(run.plan.total_steps / options.cycle)
    with still_reference(run.model):
        trainer = Trainer(
            model=run.model,
            reward_funcs=rewards,
            args=configure(run, completion=completion, part_weights=list(parts.values())),
            train_dataset=dataset(len(run.rows), batch=run.plan.batch_size, batches=batches, seed=spec.seed),
            processing_class=run.tokenizer,
        )
    reference: Any = trainer.ref_model
    if reference is not None and spec.start_adapter:  # TRL's is the base alone
        reference.load_state_dict(weights.start(spec).state_dict())
    trainer.rows, trainer.judge, trainer.longest = run.rows, judge, run.plan.longest + completion
    trainer.rollouts = Rollouts(run.run_dir, kept=options.rollouts_kept, group=options.answers)
    return trainer


def options_of(spec: RunSpec) -> Reinforcement:
    assert isinstance(spec.method, ReinforcementMethod)
    return spec.method.reinforcement


def configure(run: Run, *, completion: int, part_weights: list[float]) -> GRPOConfig:
    """The method's options under TRL's names; all answers of a step are sampled at once, and learnt from in parts.

    Args:
        completion: the longest answer, in tokens.
        part_weights: of the reward functions; empty: one each.
    """
    options, on_gpu = options_of(run.spec), bool(run.spec.devices)
    answers = run.plan.batch_size * options.answers
    batch = together(answers, longest=run.plan.longest + completion, on_gpu=on_gpu)
    common: dict[str, Any] = run.arguments(batch=batch) | {"gradient_accumulation_steps": answers // batch}
    return GRPOConfig(
        **common,
        num_generations=options.answers,
        max_completion_length=completion,
        temperature=options.temperature,
        shuffle_dataset=False,
        loss_type=options.loss,
        importance_sampling_level=options.importance,
        beta=options.beta,
        epsilon=options.clip_low,
        epsilon_high=1 + options.clip_high if options.loss == "cispo" else options.clip_high,  # cispo's is the ratio
        num_iterations=options.updates,
        scale_rewards=options.scale_rewards,
        multi_objective_aggregation=options.aggregation,
        reward_weights=part_weights or None,
        mask_truncated_completions=options.mask_truncated,
        disable_dropout=not (options.lora and options.lora.dropout),
        use_vllm=on_gpu and importlib.util.find_spec("vllm") is not None,
        vllm_mode="colocate",
        vllm_enable_sleep_mode=True,
        vllm_importance_sampling_mode="token_truncate" if options.loss == "vespo" else "sequence_mask",  # TRL's wish
        vllm_max_model_length=min(run.model.config.max_position_embeddings, longest_row(run.spec) + completion),
    )


def together(answers: int, *, longest: int, on_gpu: bool) -> int:
    """Answers that go through the model together: as many as a packed sequence would hold, and evenly into a step."""
    most = max(1, packing.capacity(shared=True, on_gpu=on_gpu) // longest)
    return max(part for part in range(1, min(most, answers) + 1) if answers % part == 0)


def dataset(rows: int, *, batch: int, batches: int, seed: int) -> Dataset:
    """The places of the prompts of all batches.

    Each pass has an order of its own. Where its last batch would not be full, it begins again.
    """
    draw, whole = random.Random(seed), math.ceil(rows / batch) * batch
    passes = (islice(cycle(draw.sample(range(rows), rows)), whole) for _ in count())
    return Dataset.from_dict({"prompt": list(islice(chain.from_iterable(passes), batch * batches))})


def reward(judge: Judge, **_: Any) -> list[float]:
    return [answer.outcome.reward for answer in judge.latest]


def part_of_reward(judge: Judge, part: str, **_: Any) -> list[float]:
    return [answer.outcome.sub_rewards[part] for answer in judge.latest]


class Trainer(GRPOTrainer):
    """TRL's trainer, whose prompts are places among the rows, and whose figures of each batch go to Progress.

    longest: tokens of a prompt and its answer.
    """

    progress: Progress
    rows: Prompts
    judge: Judge
    rollouts: Rollouts
    longest: int
    _of_answers: dict[str, float]  # figures of those that are learnt from
    _seconds: dict[str, float]  # that have gone into the part in the making
    _masks: tuple[torch.Tensor, torch.Tensor]  # of that part: where there are tokens of prompts, and of answers
    _tokens: torch.Tensor  # of all answers of the step that are learnt from

    def _tokenize_prompts(self, prompts: list[Any]) -> Any:
        return [self.rows.tokens[place] for place in prompts], None, {}

    def _generate_single_turn(self, prompt_ids: Any, *further: Any, **named: Any) -> Any:
        """In parts that fit; vLLM sees to that itself."""
        size = len(prompt_ids) if self.use_vllm else max(1, SAMPLED_TOGETHER // self.longest)
        with self._timed("sampling"):
            parts = [
                super(Trainer, self)._generate_single_turn(prompt_ids[at : at + size], *further, **named)
                for at in range(0, len(prompt_ids), size)
            ]
        completions = [ids for said, _ in parts for ids in said]
        return completions, parts[0][1]  # TRL has log-probabilities from vLLM alone

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
        with self._timed("grading"):
            self.judge.grade(self.rows, prompts, completion_ids_list)
        return super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        batch = super()._generate_and_score_completions(inputs)
        answers, advantages = self.judge.latest, batch["advantages"].tolist()
        size, step = self.judge.options.answers, self.state.global_step + 1
        groups = [advantages[at : at + size] for at in range(0, len(advantages), size)]
        alike = sum(max(group) - min(group) == 0 for group in groups) / len(groups)
        self._of_answers = figures(answers) | {"zero_variance_share": alike}
        before = self.state.global_step // self.judge.options.cycle * len(answers)

        def rollout(i: int) -> Rollout:
            answer = answers[i]
            return Rollout(
                number=before + i,
                step=step,
                row=self.rows.numbers[answer.place],
                prompt=as_dicts(self.rows.content[answer.place].messages),
                completion=answer.text,
                completion_tokens=answer.tokens,
                truncated=answer.truncated,
                reward=answer.outcome.reward,
                rewards=answer.scores,
                advantage=advantages[i],
                error=error_of(answer.outcome),
            )

        self.rollouts.add(len(answers), rollout, before=before)
        return batch

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        self._masks, self._tokens = (inputs["prompt_mask"], inputs["completion_mask"]), inputs["num_items_in_batch"]
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        self._seconds = {"sampling": 0.0, "grading": 0.0}
        started = time.perf_counter()
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._seconds["training"] = time.perf_counter() - started - sum(self._seconds.values())
        places, tokens = (sum(int(how_many(mask)) for mask in self._masks) for how_many in (torch.numel, torch.sum))
        self.progress.add(self._score(loss), tokens=tokens, padding=places - tokens)
        return loss

    def _score(self, loss: torch.Tensor) -> Score:
        """Of the part that was learnt from last; its figures are shares of the step's, and add up."""
        answered, latest = self._masks[1], self._metrics["train"]
        rows, tokens = len(answered), int(answered.sum())
        of_step = rows * self.args.gradient_accumulation_steps
        share = tokens / max(1, int(self._tokens))
        shares = {ours: latest[theirs][-1] * share for theirs, ours in FIGURES.items() if theirs in latest}
        shares |= {f"{what}_seconds": value for what, value in self._seconds.items()}
        sums = {name: value * rows for name, value in self._of_answers.items()}
        sums |= {name: value * of_step for name, value in shares.items()}
        return Score(float(loss) * of_step, rows, tokens, sums)

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._seconds[what] += time.perf_counter() - started

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super(GRPOTrainer, self)._save_checkpoint(model, trial)  # TRL's own would write a model card first


def validation(trainer: Trainer, prompts: Prompts) -> Callable[[], dict[str, float]]:
    """The means are over sampled answers, which do not touch what training draws; each time the same numbers draw."""
    options = trainer.judge.options
    places = [place for place in range(len(prompts)) for _ in range(options.eval_samples)]

    @torch.no_grad()
    def validate() -> dict[str, float]:
        model: Any = trainer.model
        model.eval()
        with torch.random.fork_rng():
            torch.manual_seed(trainer.args.seed)
            ids, _ = trainer._generate_single_turn([prompts.tokens[place] for place in places], None, {}, 1)
        found = figures(trainer.judge.grade(prompts, places, ids))
        model.train()
        return found

    return validate
