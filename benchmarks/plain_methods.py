"""What people write today for a method: TRL's trainer of it with a LoRA adapter of PEFT, in one script.

    python -m benchmarks.plain_methods METHOD MODEL ROWS.jsonl OUTPUT STEPS

Not a default are what a CPU needs (fp32 for bf16; no gradient checkpointing, which would cost it a third of its speed),
the steps, the learning rate and the adapter, which are ours, and that nothing is written on the way.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

from trainers import environment

environment.prepare()
warnings.simplefilter("ignore")

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer  # noqa: E402
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


def main() -> None:
    method, model_path, rows_path, output, steps = sys.argv[1:]
    rows = [json.loads(line) for line in Path(rows_path).read_text().splitlines()]
    common: dict[str, Any] = {
        "output_dir": output,
        "max_steps": int(steps),
        "per_device_train_batch_size": BATCH,
        "learning_rate": LEARNING_RATE,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    trainer = MAKERS[method](model_path, rows, common)
    trainer.train()
    trainer.save_model(output)


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
