"""What must be set before torch, transformers and trl are imported: no network, no telemetry, no progress bars."""

import os


def prepare() -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["TQDM_DISABLE"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"  # threads do not survive the fork
