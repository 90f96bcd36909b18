"""What people write today for a method: TRL's trainer of it with a LoRA adapter of PEFT, in one script.

    python -m benchmarks.plain_methods METHOD MODEL ROWS.jsonl OUTPUT STEPS

Not a default are what a CPU needs (fp32 for bf16; no gradient checkpointing, which would cost it a third of its speed),
the steps, the learning rate and the adapter, which are ours, and that nothing is written on the way. On a GPU it is
what TRL does of itself. The last line printed has the seconds of each step, what the Trainer logged of it, and the
most memory that the GPU's tensors took.
"""

import itertools
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from trainers import environment

environment.prepare()
warnings.simplefilter("ignore")

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TrainerCallback,
)
from trl import (  # noqa: E402
    DPOConfig,
    DPOTrainer,
    GRPOConfig,
    GRPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
)

from benchmarks.settings import ANSWERS, BATCH, COMPLETION, CONTEXT, LEARNING_RATE, PROMPTS, SEQUENCES  # noqa: E402

CPU = {"use_cpu": True, "bf16": False, "gradient_checkpointing": False}


class Clock(TrainerCallback):
    """seconds: of each step, from the end of the one before it, so that loading and sampling count."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def main() -> None:
    method, model_path, rows_path, output, steps = sys.argv[1:]
    rows = [json.loads(line) for line in Path(rows_path).read_text().splitlines()]
    common: dict[str, Any] = {
        "output_dir": output,
        "max_steps": int(steps),
        "per_device_train_batch_size": BATCH,
        "learning_rate": LEARNING_RATE,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    } | ({} if torch.cuda.is_available() else CPU)
    trainer = MAKERS[method](model_path, rows, common)
    trainer.add_callback(clock := Clock())
    trainer.train()
    trainer.save_model(output)
    seconds = [after - before for before, after in itertools.pairwise(clock.ends)]
    memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    print(json.dumps({"seconds": seconds, "logged": trainer.state.log_history, "memory": memory}))


def supervised(model_path: str, rows: list[Any], common: dict[str, Any]) -> Any:
    return SFTTrainer(**_parts(model_path, rows), args=SFTConfig(**common))


def pretraining(model_path: str, rows: list[Any], common: dict[str, Any]) -> Any:
    args = SFTConfig(
        **common | {"per_device_train_batch_size": SEQUENCES},
        max_length=CONTEXT,
        packing=True,
        packing_strategy="wrapped",
    )
    return SFTTrainer(**_parts(model_path, rows), args=args)


def reward_model(model_path: str, rows: list[Any], common: dict[str, Any]) -> Any:
    model = AutoModelForSequenceClassification.from_pretrained(model_path, num_labels=1, dtype=torch.float32)
    parts = _parts(model_path, list(map(_pair, rows)), model=model, task="SEQ_CLS")
    return RewardTrainer(**parts, args=RewardConfig(**common, center_rewards_coefficient=0.01))


def dpo(model_path: str, rows: list[Any], common: dict[str, Any]) -> Any:
    return DPOTrainer(**_parts(model_path, list(map(_pair, rows))), args=DPOConfig(**common))


def kto(model_path: str, rows: list[Any], common: dict[str, Any]) -> Any:
    said = [row | {"completion": [{"role": "assistant", "content": row["completion"]}]} for row in rows]
    return KTOTrainer(**_parts(model_path, said), args=KTOConfig(**common))


def reinforcement(model_path: str, rows: list[Any], common: dict[str, Any]) -> Any:
    args = GRPOConfig(
        **common | {"per_device_train_batch_size": PROMPTS * ANSWERS},
        num_generations=ANSWERS,
        max_completion_length=COMPLETION,
        beta=0.01,
    )
    asked = [{"prompt": row["messages"], "answer": row["answer"]} for row in rows]
    return GRPOTrainer(**_parts(model_path, asked), args=args, reward_funcs=_right)


def _right(completions: list[Any], answer: list[str], **_: Any) -> list[float]:
    return [float(wanted in said[0]["content"]) for said, wanted in zip(completions, answer, strict=True)]


MAKERS = {
    "supervised": supervised,
    "pretraining": pretraining,
    "reward_model": reward_model,
    "dpo": dpo,
    "kto": kto,
    "reinforcement": reinforcement,
}


def _pair(row: dict[str, Any]) -> dict[str, Any]:
    prompt, chosen, rejected = row["input"]["messages"], row["preferred_output"], row["non_preferred_output"]
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def _parts(model_path: str, rows: list[Any], *, model: Any = None, task: str = "CAUSAL_LM") -> dict[str, Any]:
    return {
        "model": model or AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32),
        "train_dataset": Dataset.from_list(rows),
        "processing_class": AutoTokenizer.from_pretrained(model_path),
        "peft_config": LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type=task),
    }


if __name__ == "__main__":
    main()
