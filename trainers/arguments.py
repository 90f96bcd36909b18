"""The Trainer's arguments: what the methods have in common."""

from typing import Any

from core.specs.optimization import Optimization
from core.specs.run import RunSpec
from trainers.rundir import RunDir

OPTIMIZERS = {"adamw": "adamw_torch", "adafactor": "adafactor", "sgd": "sgd"}
SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def arguments(
    spec: RunSpec,
    run_dir: RunDir,
    options: Optimization,
    *,
    learning_rate: float,
    steps: int,
    batch: int,
    accumulate: int,
) -> dict[str, Any]:
    """For `TrainingArguments` and what derives from it.

    Args:
        steps: of the whole run.
        batch: rows that the Trainer takes at once.
        accumulate: batches per optimiser step.
    """
    on_gpu = bool(spec.devices)
    return {
        "output_dir": str(run_dir.working),
        "seed": spec.seed,
        "data_seed": spec.seed,
        "max_steps": steps,
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": accumulate,
        "optim": OPTIMIZERS[options.optimizer],
        "adam_beta2": 0.95,
        "learning_rate": learning_rate,
        "lr_scheduler_type": SCHEDULES[options.schedule],
        "warmup_steps": warmup_steps(options, steps=steps),
        "weight_decay": options.weight_decay,
        "max_grad_norm": options.max_grad_norm,
        "use_cpu": not on_gpu,
        "bf16": on_gpu,
        "gradient_checkpointing": False,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": on_gpu,
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",  # Progress says when
        "report_to": "none",
        "disable_tqdm": True,
    }


def warmup_steps(options: Optimization, *, steps: int) -> int:
    """A share is rounded down: transformers would round it up, and a short job's first step would change nothing."""
    return int(options.warmup * steps if options.warmup < 1 else options.warmup)
