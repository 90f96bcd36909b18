"""Products of matrices on a CPU: oneDNN's, where those of MKL leave half of the processor alone.

PyTorch multiplies with MKL, which uses AVX-512 on Intel's processors only, and carries oneDNN, which uses it wherever
it is (docs/benchmarks.md#products).
"""

import warnings
from pathlib import Path
from typing import Any

import torch

CPUS = Path("/proc/cpuinfo")
LEAST = 10**6  # multiplications of a product, below which oneDNN's preparations take longer than they save
_library: torch.library.Library | None = None


def use() -> None:
    """Let products of two large fp32 matrices (`aten::mm`) in this process be oneDNN's from now on, backward too.

    What adds as it multiplies (`addmm`: biases, LoRA's second factor) and `bmm` stay MKL's. Who multiplies depends on
    the processor and on sizes, so that all attempts of a job on the same hardware have the same bytes.
    """
    global _library  # for as long as it lives, it counts
    if _library is None and torch.backends.mkldnn.is_available() and _leaves_half_alone():
        _library = torch.library.Library("aten", "IMPL")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that something is overridden
            _library.impl("mm", product, "CPU")


def _leaves_half_alone() -> bool:
    """Whether MKL has no use for this processor's AVX-512."""
    cpus = CPUS.read_text() if CPUS.exists() else ""
    return "AuthenticAMD" in cpus and "avx512f" in cpus


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """[rows, inner] times [inner, columns], as aten::mm."""
    (rows, inner), columns = a.shape, b.shape[1]
    if rows * inner * columns < LEAST or not (_suits(a) and _suits(b)) or b.shape[0] != inner:
        return torch.ops.aten.mm.out(a, b, out=a.new_empty(rows, columns))  # MKL's
    linear: Any = torch.ops.mkldnn._linear_pointwise.default  # Inductor's; of plain tensors it is one product
    if 4 * b.numel() < a.numel() and not a.is_contiguous():  # a left side that lies transposed would be copied
        return linear(b.t(), a, None, "none", [], "").t().contiguous()
    return linear(a, b.t(), None, "none", [], "")


def _suits(matrix: torch.Tensor) -> bool:
    """A gradient of a sum is one number, seen as a matrix: it has no layout that oneDNN knows."""
    return matrix.dtype is torch.float32 and 0 not in matrix.stride()
