"""Kahneman-Tversky optimisation: TRL's KTOTrainer on rows that were tokenised here.

The reference is the model that the job starts from, made as for `trainers.dpo`. The loss is TRL's, but measures rewards
from one point for a whole step; TRL has one for each batch that goes through the model.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer

from core.rows import packing
from core.rows.feedback import Feedback
from core.rows.tokens import IGNORED
from core.specs.kto import Kto, KtoMethod
from core.specs.run import RunResult, RunSpec
from trainers import weights
from trainers.adapters import still_reference
from trainers.finetuning import Method, Run, finetune
from trainers.progress import Progress
from trainers.rows import Rows, read_rows, split
from trainers.rundir import RunDir
from trainers.scoring import Score, means
from trainers.stopping import StopRequest

COLUMNS = {
    "train_loss": "train_loss",
    "train_accuracy": "train_reward_accuracy",
    "train_reward_margin": "train_reward_margin",
    "valid_loss": "valid_loss",
    "valid_reward_accuracy": "valid_reward_accuracy",
    "valid_reward_margin": "valid_reward_margin",
}
# What goes through the model at once, as TRL's collator pads it: [rows, tokens], `label` [rows]. Behind KL_ stand the
# same prompts with answers of other rows; ref_logps and ref_KL_logps, [rows], are what the reference says of both, the
# latter None for the loss that takes no estimate.
Part = dict[str, Any]


def train(spec: RunSpec, run_dir: RunDir, stop: StopRequest) -> RunResult:
    """Run one job on feedback in its run directory. Raises what `finetune` does."""
    read = partial(read_rows, wanted=(Feedback,))
    return finetune(spec, run_dir, stop, Method(read, make_trainer, validation, highest_loss, COLUMNS))


def make_trainer(run: Run) -> "Trainer":
    options, data = options_of(run.spec), dataset(run.rows, seed=run.spec.seed)
    desirable = sum(data["label"])
    of_desirable, of_others = options.label_weights(desirable=desirable, undesirable=len(data) - desirable)
    run.run_dir.say(
        f"{desirable} of {len(data)} rows are desirable: desirable_weight {of_desirable:.4g}, undesirable_weight "
        f"{of_others:.4g}"
    )
    size = together(run.rows, on_gpu=bool(run.spec.devices))
    run.model.eval()  # the reference has no dropout, whenever it is asked
    with still_reference(run.model):
        trainer = Trainer(
            model=run.model,
            ref_model=weights.start(run.spec) if options.weights == "full" else None,
            args=KTOConfig(
                **run.arguments(batch=run.plan.batch_size),
                beta=options.beta,
                loss_type=options.loss,
                desirable_weight=of_desirable,
                undesirable_weight=of_others,
                precompute_ref_log_probs=options.precompute_reference,
                precompute_ref_batch_size=size,
                max_length=None,
                disable_dropout=not (options.lora and options.lora.dropout),
            ),
            train_dataset=data,
            processing_class=run.tokenizer,
        )
    trainer.data_collator = Collator(trainer.data_collator, size)
    return trainer


def options_of(spec: RunSpec) -> Kto:
    assert isinstance(spec.method, KtoMethod)
    return spec.method.kto


def together(rows: Rows, *, on_gpu: bool) -> int:
    """Rows that go through the model at once: as many as a packed sequence would hold."""
    return max(1, packing.capacity(shared=True, on_gpu=on_gpu) // max(rows.lengths()))


def dataset(rows: Rows, *, seed: int) -> Dataset:
    """The rows in an order that the seed draws, which every pass keeps.

    Each has, under KL_, the answer of the row before it, no further than the longest row goes.
    """
    order = random.Random(seed).sample(range(len(rows)), len(rows))
    prompts, answers = zip(*(split(rows.tokens[i][0]) for i in order), strict=True)
    longest = max(rows.lengths())
    others = [answers[k - 1][: longest - len(prompt)] for k, prompt in enumerate(prompts)]
    content: list[Any] = rows.content
    desirable = [content[i].label for i in order]
    return Dataset.from_dict(
        {"prompt_ids": prompts, "completion_ids": answers, "KL_completion_ids": others, "label": desirable}
    )


@dataclass(frozen=True)
class Collator:
    """Lays the rows of an optimiser step into parts of up to `size`, each padded to its longest row."""

    pad: Callable[[list[dict[str, Any]]], Part]
    size: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, list[Part]]:
        return {"parts": [self.pad(rows[at : at + self.size]) for at in range(0, len(rows), self.size)]}


class Answers(NamedTuple):
    """What the model made of rows, [rows].

    log_probabilities: of the answers. ratios: how much more that is than by the reference. entropies: sums over the
    answers' tokens. desirable: the labels.
    """

    log_probabilities: torch.Tensor
    ratios: torch.Tensor
    entropies: torch.Tensor
    tokens: torch.Tensor
    desirable: torch.Tensor

    def above(self, point: torch.Tensor) -> torch.Tensor:
        """How far the ratios are on the side of the point that their labels want them on."""
        return torch.where(self.desirable, 1, -1) * (self.ratios - point)


class Trainer(KTOTrainer):
    """TRL's trainer, with a step of our own, whose exact figures go to Progress."""

    progress: Progress
    # Divided by the step's rows right below: nothing is left to divide by the number of parts.
    loss_is_scaled_for_ga = True
    # Of the step in the making.
    _point: torch.Tensor
    _answers: list[Answers]

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        return dataset

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """The parts of an optimiser step, one by one: their gradients add up, their memory does not."""
        model.eval()  # dropout is for what learns
        parts = [self.with_reference(part) for part in inputs["parts"]]
        rows = sum(len(part["label"]) for part in parts)
        self._point, self._answers = self.point(model, parts), []
        losses = [super(Trainer, self).training_step(model, part, rows) for part in parts]
        places = sum(part["attention_mask"].numel() for part in parts)
        tokens = sum(int(part["attention_mask"].sum()) for part in parts)
        score = self.score(joined(self._answers), self._point)
        self.progress.add(score, tokens=tokens, padding=places - tokens)
        return torch.stack(losses).sum()

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        assert not return_outputs
        answers = self.answers(model, inputs)
        self._answers.append(Answers(*(column.detach() for column in answers)))
        return self.losses(answers, self._point).sum() / num_items_in_batch

    def with_reference(self, part: Part) -> Part:
        """The part, where the model is, with what the reference says of it, which may have been computed before."""
        part = self._prepare_inputs(part)
        if "ref_logps" in part:
            return part
        answers, others = self.compute_ref_log_probs(self.ref_model or self.model, part)
        return {**part, "ref_logps": answers, "ref_KL_logps": others}

    @torch.no_grad()
    def point(self, model: Any, parts: list[Part]) -> torch.Tensor:
        """What ratios are measured from: an estimate of the model's KL divergence from the reference (section 4.1 of
        the paper); zero for the loss that takes none."""
        if not self.calculate_KL:
            return torch.zeros((), device=self.args.device)
        others: list[Any] = [self._compute_kl_logps(model, part) for part in parts]
        ratios = [by_model - part["ref_KL_logps"] for by_model, part in zip(others, parts, strict=True)]
        return torch.cat(ratios).mean().clamp(min=0)

    def answers(self, model: Any, part: Part) -> Answers:
        trained = part["completion_mask"]
        outputs = model(
            input_ids=part["input_ids"],
            attention_mask=part["attention_mask"],
            labels=part["input_ids"].masked_fill(trained == 0, IGNORED),
            fused_lm_head=True,
        )
        log_probabilities = outputs.log_probs.sum(-1)
        ratios = log_probabilities - part["ref_logps"]
        return Answers(log_probabilities, ratios, outputs.entropy.sum(-1), trained[:, 1:].sum(-1), part["label"])

    def losses(self, answers: Answers, point: torch.Tensor) -> torch.Tensor:
        """[rows]: equation 7 of the paper; with the point at zero, TRL's `apo_zero_unpaired`."""
        weights = torch.where(answers.desirable, self.desirable_weight, self.undesirable_weight)
        return weights * torch.sigmoid(-self.beta * answers.above(point))

    def score(self, answers: Answers, point: torch.Tensor) -> Score:
        """Of a whole step, or of all validation rows. What no row has the label for is not among the figures."""
        rows, rewards = len(answers.ratios), self.beta * answers.ratios
        figures = {
            "reward_accuracy": (answers.above(point) > 0).float().mean(),
            "entropy": answers.entropies.sum() / answers.tokens.sum(),
        }
        if self.calculate_KL:
            figures["kl"] = point
        for side, these in (("chosen", answers.desirable), ("rejected", ~answers.desirable)):
            if these.any():
                figures[f"{side}_reward"] = rewards[these].mean()
                figures[f"{side}_log_probability"] = answers.log_probabilities[these].mean()
        if {"chosen_reward", "rejected_reward"} <= figures.keys():
            figures["reward_margin"] = figures["chosen_reward"] - figures["rejected_reward"]
        sums = {name: float(value) * rows for name, value in figures.items()}
        return Score(float(self.losses(answers, point).sum()), rows, int(answers.tokens.sum()), sums)

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # Progress knows better

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super(KTOTrainer, self)._save_checkpoint(model, trial)  # TRL's own would write a model card first


def joined(parts: list[Answers]) -> Answers:
    return Answers(*map(torch.cat, zip(*parts, strict=True)))


def validation(trainer: Trainer, rows: Rows) -> Callable[[], dict[str, float]]:
    """The means are over the validation rows, whose rewards are measured from one point."""
    size = together(rows, on_gpu=not trainer.args.use_cpu)
    of_training: Any = trainer.data_collator
    parts = Collator(of_training.pad, size)(dataset(rows, seed=trainer.args.seed).to_list())["parts"]
    if trainer.precompute_ref_logps:
        parts = [trainer.with_reference(part) for part in parts]

    @torch.no_grad()
    def validate() -> dict[str, float]:
        model: Any = trainer.model
        model.eval()
        measured = [trainer.with_reference(part) for part in parts]
        answers = joined([trainer.answers(model, part) for part in measured])
        score = trainer.score(answers, trainer.point(model, measured))
        model.train()
        return means([score])

    return validate


def highest_loss(_: RunSpec, model: Any) -> float:
    return math.inf  # no row's loss is higher than its weight
