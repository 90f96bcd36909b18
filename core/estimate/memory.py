"""How much memory a run takes, by a formula; docs/estimate.md derives it and says what it leaves out."""

from collections import Counter
from dataclasses import dataclass

from core.estimate.task import Measured
from core.models import Worker
from core.specs.base_model import Facts

# Bytes per token, layer and unit of width that a transformer block keeps for its backward pass, in 16-bit numbers and
# without the attention matrix, which SDPA does not keep (Korthikanti et al., 2022, arXiv 2205.05198, section 4.1).
BLOCK_BYTES = 34
FULL_BYTES = 4  # fp32, as all weights are that are trained
ADAM_BYTES = 16  # fp32: a weight, its gradient and AdamW's two moments


@dataclass(frozen=True)
class Device:
    """kind: gpu or cpu. memory_bytes: of one slot; null where its worker can't tell. fits: null then, too."""

    kind: str
    slots: int
    memory_bytes: int | None
    fits: bool | None


@dataclass(frozen=True)
class Memory:
    """Bytes of one slot while it trains."""

    frozen_bytes: int
    trained_bytes: int
    activations_bytes: int
    logits_bytes: int
    total_bytes: int
    devices: list[Device]


def memory(
    facts: Facts,
    measured: Measured,
    *,
    rank: int | None,
    four_bits: bool,
    writes: bool,
    beside: int,
    on_gpu: bool,
    workers: list[Worker],
) -> Memory:
    """The peak of a step: frozen weights in bf16 on a GPU and fp32 on a CPU, trained ones in fp32 with their optimiser.

    Args:
        rank: of the adapter; None where all weights are trained.
        four_bits: so many bits the frozen weights have.
        writes: the model is a policy, which has logits; a reward model has a score a response.
        beside: models that stand beside the trained one, never trained: a reference, reward models. Each is taken for
            as large, and is in fp32.
    """
    number = 2 if on_gpu else 4
    plan = measured.plan
    length = plan.sequence_length or 0
    frozen = 0 if rank is None else facts.parameters // 2 if four_bits else facts.parameters * number
    frozen += beside * facts.parameters * FULL_BYTES
    trained = (facts.parameters if rank is None else facts.adapter_parameters * rank) * ADAM_BYTES
    activations = facts.layers * length * facts.hidden_size * BLOCK_BYTES * number // 2
    # fp32, and their gradient takes their place; on a GPU the fused head never has them all.
    scored = 0 if on_gpu or not writes else length * measured.tokens.trained // max(1, measured.tokens.total)
    logits = scored * facts.vocab_size * 4
    total = frozen + trained + activations + logits
    return Memory(frozen, trained, activations, logits, total, devices(workers, total))


def devices(workers: list[Worker], total: int) -> list[Device]:
    """The slots that are there, and whether so many bytes fit into one."""
    slots: Counter[tuple[str, int | None]] = Counter()
    for worker in workers:
        slots["gpu" if worker.devices else "cpu", worker.memory_bytes] += worker.slots
    return [Device(kind, count, size, None if size is None else total <= size) for (kind, size), count in slots.items()]
