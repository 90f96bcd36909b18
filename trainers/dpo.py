"""Direct preference optimisation: TRL's DPOTrainer on pairs that were tokenised here.

The reference is the model that the job starts from: TRL copies a starting adapter, which a resume makes again; beside
full weights stands a second model.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from datasets import Dataset
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from core.rows import packing
from core.rows.preference import Preference
from core.specs.dpo import Dpo, DpoMethod
from core.specs.run import RunResult, RunSpec
from trainers import weights
from trainers.adapters import still_reference
from trainers.errors import SpecError
from trainers.finetuning import Method, Plan, Run, finetune
from trainers.progress import Progress
from trainers.rows import Rows, read_rows, split
from trainers.rundir import RunDir
from trainers.scoring import Score, means
from trainers.stopping import StopRequest

# By how much a step's rejected answers are preferred where the run has diverged: as a difference of rewards, and for
# `ipo`, whose loss is a square, in nats a token.
FAR_OFF, FAR_OFF_IPO = 50.0, 10.0
EXPLODED = 10  # times the loss of guessing, of what `sft_weight` mixes in
FIGURES = {
    "reward_accuracy": "rewards/accuracies",
    "reward_margin": "rewards/margins",
    "chosen_reward": "rewards/chosen",
    "rejected_reward": "rewards/rejected",
    "chosen_log_probability": "logps/chosen",
    "rejected_log_probability": "logps/rejected",
    "entropy": "entropy",
}
COLUMNS = {
    "train_loss": "train_loss",
    "train_accuracy": "train_reward_accuracy",
    "train_reward_margin": "train_reward_margin",
    "valid_loss": "valid_loss",
    "valid_reward_accuracy": "valid_reward_accuracy",
    "valid_reward_margin": "valid_reward_margin",
}


def train(spec: RunSpec, run_dir: RunDir, stop: StopRequest) -> RunResult:
    """Run one job on preferences in its run directory. Raises what `finetune` does."""
    return finetune(spec, run_dir, stop, Method(read_pairs, make_trainer, validation, highest_loss, COLUMNS))


def read_pairs(*given: Any, param: str, **options: Any) -> Rows:
    """As `read_rows`; raises SpecError, too, where the two answers of a row do not follow the same prompt."""
    rows = read_rows(*given, wanted=(Preference,), param=param, **options)
    for chosen, rejected in rows.tokens:
        if split(chosen)[0] != split(rejected)[0]:
            message = f"{param}: the model's chat template writes a prompt otherwise before another answer"
            raise SpecError(message, param=param, code="invalid_file")
    return rows


def make_trainer(run: Run) -> "Trainer":
    options = options_of(run.spec)
    batch = together(run.plan, on_gpu=bool(run.spec.devices))
    with still_reference(run.model):
        return Trainer(
            model=run.model,
            ref_model=weights.start(run.spec) if options.weights == "full" else None,
            args=DPOConfig(
                **run.arguments(batch=batch),
                beta=options.beta,
                loss_type=[options.loss, "sft"] if options.sft_weight else [options.loss],
                loss_weights=[1.0, options.sft_weight] if options.sft_weight else None,
                label_smoothing=options.label_smoothing,
                precompute_ref_log_probs=options.precompute_reference,
                precompute_ref_batch_size=batch,
                max_length=None,
                disable_dropout=not (options.lora and options.lora.dropout),
            ),
            train_dataset=dataset(run.rows),
            processing_class=run.tokenizer,
        )


def options_of(spec: RunSpec) -> Dpo:
    assert isinstance(spec.method, DpoMethod)
    return spec.method.dpo


def together(plan: Plan, *, on_gpu: bool) -> int:
    """Pairs that go through the model together: as many as a packed sequence would hold, and evenly into a step."""
    most = max(1, packing.capacity(shared=True, on_gpu=on_gpu) // plan.longest)
    return max(count for count in range(1, plan.batch_size + 1) if plan.batch_size % count == 0 and count <= most)


class Trainer(DPOTrainer):
    """TRL's trainer, whose figures of each batch go to Progress."""

    progress: Progress

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        return dataset

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        assert not return_outputs
        loss = super().compute_loss(model, inputs)
        places, tokens = inputs["attention_mask"].numel(), int(inputs["attention_mask"].sum())
        self.progress.add(self.score(loss, inputs), tokens=tokens, padding=places - tokens)
        return loss

    def score(self, loss: torch.Tensor, inputs: dict[str, torch.Tensor]) -> Score:
        """Of the batch whose loss was computed last."""
        model: Any = self.model
        latest = self._metrics["train" if model.training else "eval"]
        pairs = len(inputs["input_ids"]) // 2
        sums = {ours: latest[theirs][-1] * pairs for ours, theirs in FIGURES.items()}
        return Score(float(loss.detach()) * pairs, pairs, int(inputs["completion_mask"].sum()), sums)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super(DPOTrainer, self)._save_checkpoint(model, trial)  # TRL's own would write a model card first


def dataset(rows: Rows) -> Dataset:
    columns: dict[str, list[list[int]]] = {"prompt_ids": [], "chosen_ids": [], "rejected_ids": []}
    for chosen, rejected in rows.tokens:
        (prompt, better), (_, worse) = split(chosen), split(rejected)
        for column, ids in zip(columns.values(), (prompt, better, worse), strict=True):
            column.append(ids)
    return Dataset.from_dict(columns)


def validation(trainer: Trainer, rows: Rows) -> Callable[[], dict[str, float]]:
    """The means are over the validation pairs."""
    pairs: Any = dataset(rows)
    if trainer.precompute_ref_logps:
        pairs = trainer._precompute_ref_logps(pairs, "valid", 1)

    @torch.no_grad()
    def validate() -> dict[str, float]:
        model: Any = trainer.model
        model.eval()
        scored: list[Score] = []
        for pair in pairs:
            inputs = trainer._prepare_inputs(trainer.data_collator([pair]))
            scored.append(trainer.score(DPOTrainer.compute_loss(trainer, model, inputs), inputs))
        trainer._metrics["eval"].clear()
        model.train()
        return means(scored)

    return validate


def highest_loss(spec: RunSpec, model: Any) -> float:
    options = options_of(spec)
    if options.loss == "ipo":
        preference = (1 / (2 * options.beta) + FAR_OFF_IPO) ** 2
    else:
        preference = FAR_OFF / (1 - 2 * options.label_smoothing)  # robust divides by it
    return preference + options.sft_weight * EXPLODED * math.log(model.config.vocab_size)
