"""Proximal policy optimisation on answers that reward models score (Schulman et al., 2017, arXiv 1707.06347), as
Ziegler et al. (2019, arXiv 1909.08593) and Stiennon et al. (2020, arXiv 2009.01325) use it on language models.

A step of the Trainer is an iteration: the policy answers the step's prompts; answers are scored; and the policy, with a
value head on its last hidden states, is updated on them `ppo_epochs` · `minibatches` times. All updates but the last
happen inside of the step; the last one's gradients are left to the Trainer. The equations are in `trainers.ppo_math`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import safetensors.torch
import torch
import transformers
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl.trainer.utils import disable_dropout_in_model

from core.rows.template import as_dicts
from core.specs.ppo import Ppo, PpoMethod
from core.specs.rollouts import Rollout
from core.specs.run import RunResult, RunSpec
from graders.score import Scorer
from trainers import attention, ppo_math
from trainers.asking import Supervisor
from trainers.finetuning import Method, Run, finetune
from trainers.grading import failed_gradings, score_means
from trainers.ppo_answers import Answer, Words, all_words, mask_of, parts, sample, words
from trainers.ppo_math import KlController
from trainers.ppo_scores import Judge, Judged, check_tokenizers, closing
from trainers.progress import Progress
from trainers.prompts import Prompts, read_prompts
from trainers.reference import Reference
from trainers.rollouts import Rollouts
from trainers.rundir import RunDir
from trainers.samples import answered, ends_of_turn, write_answers
from trainers.scoring import Score
from trainers.stopping import StopRequest

STATE = "ppo.safetensors"  # of a checkpoint: the value head, and the KL coefficient
COLUMNS = {
    "train_loss": "train_loss",
    "train_reward_mean": "train_reward_mean",
    "train_score_mean": "train_score_mean",
    "train_kl": "train_kl",
    "valid_reward_mean": "valid_reward_mean",
    "valid_score_mean": "valid_score_mean",
    "valid_kl": "valid_kl",
}
HEAD_RATE = 10  # times the policy's learning rate: the head is fresh, and linear
UPDATED = ("policy_loss", "value_loss", "approximate_kl", "clip_fraction")  # figures of an update, by token


def train(spec: RunSpec, run_dir: RunDir, stop: StopRequest) -> RunResult:
    """Run one job on prompts in its run directory.

    Raises:
        SpecError: a reward model does not suit, or the grader fails; and what `finetune` raises.
        Diverged: answers are further than `kl_limit` from what the job started from.
    """
    check_tokenizers(spec)
    with Scorer(Supervisor(spec.asking)) as grading:
        method = Method(
            read_prompts,
            partial(make_trainer, grading=grading),
            validation,
            lambda _spec, _model: math.inf,  # kl_limit tells sooner
            COLUMNS,
            samples=write_answers,
        )
        return finetune(spec, run_dir, stop, method)


def make_trainer(run: Run, *, grading: Scorer) -> "Trainer":
    options = options_of(run.spec)
    attention.use(run.model)
    if not (options.lora and options.lora.dropout):
        disable_dropout_in_model(run.model)  # a ratio of probabilities is to be the policy's, not the noise's
    return Trainer(run, options, grading)


def options_of(spec: RunSpec) -> Ppo:
    assert isinstance(spec.method, PpoMethod)
    return spec.method.ppo


@dataclass(frozen=True)
class Played:
    """Answers and what they came to. mask, and what it masks: [answers, tokens], as in `ppo_math`.

    words: by the policy that wrote them. log_ratios: log-probabilities by it, less those by the reference.
    """

    answers: list[Answer]
    judged: list[Judged]
    mask: torch.Tensor
    words: Words
    log_ratios: torch.Tensor

    @property
    def scores(self) -> torch.Tensor:
        """[answers]"""
        return self.words.values.new_tensor([one.score for one in self.judged])

    @property
    def kl(self) -> torch.Tensor:
        """[answers]: nats, an estimate each, and in the mean the policy's divergence from the reference."""
        return self.log_ratios.sum(-1)

    def figures(self, *, kl_coefficient: float) -> dict[str, float]:
        """Means over the answers; the entropy's over their tokens."""
        count, score, kl = len(self.answers), float(self.scores.mean()), float(self.kl.mean())
        return {
            "reward_mean": score - kl_coefficient * kl,
            "score_mean": score,
            "score_spread": fmean(one.spread for one in self.judged),
            **score_means([one.parts for one in self.judged]),
            "failed_gradings": failed_gradings([one.error for one in self.judged]),
            "kl": kl,
            "entropy": float(self.words.entropies.sum() / self.mask.sum()),
            "completion_tokens_mean": fmean(map(len, self.answers)),
            "truncated_share": sum(not answer.ended for answer in self.answers) / count,
        }


@dataclass(frozen=True)
class Lesson:
    """What a step learns from what was played; [answers, tokens].

    gained: advantages as estimated. advantages: as they are learnt from. returns: what the values should have been.
    """

    played: Played
    gained: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor


class Trainer(transformers.Trainer):
    """transformers' trainer, whose step is an iteration; its schedule, checkpoints and ends are left as they are."""

    progress: Progress

    def __init__(self, run: Run, options: Ppo, grading: Scorer) -> None:
        super().__init__(
            model=run.model,
            args=TrainingArguments(**run.arguments(batch=run.plan.batch_size), remove_unused_columns=False),
            train_dataset=list(range(len(run.rows))),  # pyright: ignore[reportArgumentType]
            processing_class=run.tokenizer,
            data_collator=lambda places: {"places": torch.tensor(places)},
        )
        self.add_callback(LastStep(self))  # ahead of Progress, which makes a checkpoint of the step
        device, first = self.args.device, run.rows.content[0]
        self.options, self.prompts, self.tokenizer = options, run.rows, run.tokenizer
        self.max_tokens = options.completion_tokens(context=run.model.config.max_position_embeddings)
        self.ends = ends_of_turn(run.model, run.tokenizer, run.tokens, answered(first))
        self.judge = Judge(run.spec, options, grading=grading, closing=closing(run.tokens, first), device=device)
        self.judge.check_context(run.plan.longest + self.max_tokens)
        self.reference = Reference(run.model, run.spec)
        self.head = torch.nn.Linear(run.model.config.hidden_size, 1, device=device)
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)
        self.controller = KlController(options.kl_coefficient, options.kl_target, options.kl_horizon)
        self.rollouts = Rollouts(run.run_dir, kept=options.rollouts_kept)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """One iteration; answers the mean loss of its updates, and leaves the gradients of the last one."""
        coefficient = self.controller.coefficient
        played = self.play(model, self.prompts.chosen(inputs["places"].tolist()))
        figures = played.figures(kl_coefficient=coefficient)
        self.refuse_far_away(figures["kl"])
        lesson = self.lesson(played, kl_coefficient=coefficient)
        explained = ppo_math.explained_variance(played.words.values[played.mask], lesson.returns[played.mask])
        figures |= {"kl_coefficient": coefficient, "explained_variance": explained, **self.update(model, lesson)}
        loss = figures["policy_loss"] + self.options.value_coefficient * figures["value_loss"]
        self.report(played, loss, figures)
        self.keep(lesson, kl_coefficient=coefficient)
        self.controller.update(figures["kl"], answers=len(played.answers))
        return torch.tensor(loss, device=self.args.device)

    @torch.no_grad()
    def play(self, model: Any, prompts: Prompts) -> Played:
        """Answer the prompts, and score the answers. Nothing is dropped out."""
        model.eval()
        how = {"temperature": self.options.temperature}
        with self.accelerator.autocast():
            answers = sample(model, self.tokenizer, prompts, ends=self.ends, max_tokens=self.max_tokens, **how)
            judged = self.judge(answers)
            mask = mask_of(answers, self.args.device)
            by_policy = all_words(model, self.head, answers, mask, **how)
            with self.reference.beside(model) as reference:
                by_reference = all_words(reference, self.head, answers, mask, **how)
        return Played(answers, judged, mask, by_policy, by_policy.log_probabilities - by_reference.log_probabilities)

    def refuse_far_away(self, kl: float) -> None:
        """Raises Diverged where answers are further from the reference's than they may be."""
        limit = self.options.kl_limit
        if limit is not None and kl > limit:
            raise self.progress.gone_too_far(
                f"answers have come to be {kl:.4g} nats from those of the model that the job started from, more than "
                f"kl_limit ({limit:.15g})",
                made_by=self.state.global_step,
                key="kl_limit",
                advice="Try a higher kl_coefficient, a lower kl_target or a smaller learning rate",
            )

    def lesson(self, played: Played, *, kl_coefficient: float) -> Lesson:
        options, mask, values = self.options, played.mask, played.words.values
        rewards = ppo_math.token_rewards(played.scores, played.log_ratios, mask, kl_coefficient=kl_coefficient)
        gained = ppo_math.advantages(rewards, values, mask, gamma=options.gamma, gae_lambda=options.gae_lambda)
        whitened = ppo_math.whitened(gained, mask) if options.whiten_advantages else gained
        return Lesson(played, gained, whitened, gained + values)

    def update(self, model: Any, lesson: Lesson) -> dict[str, float]:
        """All updates of a step but the last one's, whose gradients stay; means over them."""
        options, count = self.options, len(lesson.played.answers)
        optimizer: Any = self.optimizer
        model.train()
        batches = [
            batch.tolist()
            for _ in range(options.ppo_epochs)
            for batch in torch.randperm(count).tensor_split(min(options.minibatches, count))
        ]
        found: list[torch.Tensor] = []
        for i, batch in enumerate(batches, 1):
            optimizer.zero_grad()
            found.append(self.gradients(model, lesson, batch))
            if i < len(batches):
                if self.args.max_grad_norm:
                    self._clip_grad_norm(model)
                optimizer.step()
        return dict(zip(UPDATED, torch.stack(found).mean(0).tolist(), strict=True))

    def gradients(self, model: Any, lesson: Lesson, batch: list[int]) -> torch.Tensor:
        """Of the loss of a minibatch, a mean over its tokens, part by part: they add up, their memory does not.

        Answers [UPDATED].
        """
        options, played = self.options, lesson.played
        answers = [played.answers[i] for i in batch]
        tokens = sum(map(len, answers))
        found = torch.zeros(len(UPDATED), device=self.args.device)
        for part in parts(answers, on_gpu=not self.args.use_cpu):
            these = [batch[k] for k in part]
            kept = played.mask[these]
            old = played.words.log_probabilities[these][kept]
            with self.accelerator.autocast():
                new = words(model, self.head, [answers[k] for k in part], temperature=options.temperature)
            policy = ppo_math.policy_losses(
                new.log_probabilities, old, lesson.advantages[these][kept], clip_range=options.clip_range
            ).sum()
            value = ppo_math.value_losses(
                new.values,
                played.words.values[these][kept],
                lesson.returns[these][kept],
                clip_range=options.value_clip_range,
            ).sum()
            self.accelerator.backward((policy + options.value_coefficient * value) / tokens)
            moved = new.log_probabilities.detach()
            clipped = ((moved - old).exp() - 1).abs() > options.clip_range
            sums = (policy.detach(), value.detach(), ppo_math.approximate_kl(moved, old).sum(), clipped.sum())
            found += torch.stack([one.float() for one in sums])
        return found / tokens

    def report(self, played: Played, loss: float, figures: dict[str, float]) -> None:
        """Tell Progress what a step came to. An answer's tokens count once, however often they are learnt from."""
        count, tokens = len(played.answers), sum(map(len, played.answers))
        through = tokens + sum(len(answer.prompt_tokens) for answer in played.answers)
        score = Score(loss * count, count, tokens, {name: value * count for name, value in figures.items()})
        self.progress.add(score, tokens=through * self.options.ppo_epochs)

    def keep(self, lesson: Lesson, *, kl_coefficient: float) -> None:
        """Write some of the answers down."""
        played = lesson.played
        worth = lesson.gained.sum(-1) / played.mask.sum(-1)
        before = self.answers_before()

        def rollout(i: int) -> Rollout:
            answer, judged, kl = played.answers[i], played.judged[i], float(played.kl[i])
            return Rollout(
                number=before + i,
                step=self.state.global_step + 1,
                row=answer.place,
                prompt=as_dicts(answer.prompt.messages),
                completion=answer.text,
                completion_tokens=len(answer),
                truncated=not answer.ended,
                reward=judged.score - kl_coefficient * kl,
                rewards=judged.parts | {"score": judged.score, "score_spread": judged.spread, "kl": kl},
                advantage=float(worth[i]),
                error=judged.error,
            )

        self.rollouts.add(len(played.answers), rollout, before=before)

    def answers_before(self) -> int:
        """Those of all steps before this one. The last step of a pass over the prompts may have fewer than others."""
        rows, batch = len(self.prompts), self.args.train_batch_size
        passes, steps = divmod(self.state.global_step, math.ceil(rows / batch))
        return passes * rows + steps * batch

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        optimizer = super().create_optimizer(model)
        rate = HEAD_RATE * self.args.learning_rate
        optimizer.add_param_group({"params": list(self.head.parameters()), "lr": rate, "weight_decay": 0.0})
        return optimizer

    def _clip_grad_norm(self, model: Any) -> Any:
        weights = [*model.parameters(), *self.head.parameters()]
        return self.accelerator.clip_grad_norm_(weights, self.args.max_grad_norm)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        folder = Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}"
        coefficient = torch.tensor(self.controller.coefficient, dtype=torch.float64)
        safetensors.torch.save_file({**self.head.state_dict(), "kl_coefficient": coefficient}, folder / STATE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        state = safetensors.torch.load_file(Path(resume_from_checkpoint) / STATE)
        self.controller.coefficient = float(state.pop("kl_coefficient"))
        self.head.load_state_dict(state)

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # Progress knows better


class LastStep(TrainerCallback):
    """Holds the last step's updates to `kl_limit` where no validation will, on as many prompts as a step has."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        trainer = self._trainer
        limited = trainer.options.kl_limit is not None and not trainer.progress.validates
        if limited and state.global_step >= state.max_steps:
            validation(trainer, trainer.prompts.first(args.train_batch_size))()


def validation(trainer: Trainer, prompts: Prompts) -> Callable[[], dict[str, float]]:
    """Of answers that are sampled anew each time, by the same random numbers, which are no part of training's.

    The reward is at the coefficient that the job begins with, so that validations compare.
    """
    model: Any = trainer.model
    trainer.judge.check_context(prompts.longest + trainer.max_tokens)

    def validate() -> dict[str, float]:
        with torch.random.fork_rng():
            torch.manual_seed(trainer.args.seed)
            figures = trainer.play(model, prompts).figures(kl_coefficient=trainer.options.kl_coefficient)
        trainer.refuse_far_away(figures["kl"])  # the last step's updates are seen here alone
        return figures

    return validate
