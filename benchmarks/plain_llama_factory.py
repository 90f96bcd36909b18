"""What people write today for LLaMA-Factory: its example of LoRA fine-tuning (`llama3_lora_sft.yaml`), in one script.

    .venv/llama-factory/bin/python -m benchmarks.plain_llama_factory MODEL TRAIN.jsonl OUTPUT LEARNING_RATE SEED

Not of the example are what a CPU needs (fp32 for bf16; no gradient checkpointing, which would cost it a third of its
speed, and no workers that load data), the learning rate, the adapter and no warm-up, which are ours, and that nothing
is written on the way. Its environment is its own, and what it imports of ours is nothing. Prints a line of JSON.
"""

import importlib.machinery
import json
import os
import shutil
import sys
import types
from pathlib import Path

# It reads and resamples sounds, and is imported whether there are any or not.
sys.modules["torchaudio"] = types.ModuleType("torchaudio")
sys.modules["torchaudio"].__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
os.environ.update(HF_HUB_OFFLINE="1", DISABLE_VERSION_CHECK="1", USE_MODELSCOPE_HUB="0")

from llamafactory.train.tuner import run_exp  # noqa: E402  # pyright: ignore[reportMissingImports]

MESSAGES = {
    "file_name": "train.jsonl",
    "formatting": "sharegpt",
    "columns": {"messages": "messages"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}


def main() -> None:
    model, rows, output, learning_rate, seed = sys.argv[1:]
    data = Path(output) / "data"
    data.mkdir()
    shutil.copy(rows, data / "train.jsonl")
    (data / "dataset_info.json").write_text(json.dumps({"chats": MESSAGES}))
    run_exp(
        {
            "stage": "sft",
            "do_train": True,
            "model_name_or_path": model,
            "template": "smollm2",
            "dataset": "chats",
            "dataset_dir": str(data),
            "cutoff_len": 2048,
            "finetuning_type": "lora",
            "lora_rank": 16,
            "lora_alpha": 32,
            "lora_target": "all",
            "per_device_train_batch_size": 1,
            "gradient_accumulation_steps": 8,
            "num_train_epochs": 1,
            "learning_rate": float(learning_rate),
            "lr_scheduler_type": "cosine",
            "seed": int(seed),
            "use_cpu": True,
            "disable_gradient_checkpointing": True,
            "output_dir": output,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
        }
    )
    print(json.dumps({"seconds": json.loads((Path(output) / "train_results.json").read_text())["train_runtime"]}))


if __name__ == "__main__":
    main()
