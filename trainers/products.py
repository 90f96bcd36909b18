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
_linear: Any = torch.ops.mkldnn._linear_pointwise.default  # Inductor's; of plain tensors it is one product
_mkl: Any = torch.ops.aten.mm.out
_library: torch.library.Library | None = None


def use() -> None:
    """Let every product of two fp32 matrices in this process be oneDNN's, forward and backward, from now on.

    Which one multiplies depends on the processor's maker alone, so that all attempts of a job have the same bytes.
    """
    global _library  # for as long as it lives, it counts
    if _library is None and torch.backends.mkldnn.is_available() and "AuthenticAMD" in _maker():
        _library = torch.library.Library("aten", "IMPL")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that something is overridden
            _library.impl("mm", product, "CPU")


def _maker() -> str:
    return CPUS.read_text() if CPUS.exists() else ""


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """[rows, inner] times [inner, columns], as aten::mm."""
    (rows, inner), columns = a.shape, b.shape[1]
    if a.dtype is not torch.float32 or b.dtype is not torch.float32 or rows * inner * columns < LEAST:
        return _mkl(a, b, out=a.new_empty(rows, columns))
    if 4 * b.numel() < a.numel() and not a.is_contiguous():  # a left side that lies transposed would be copied
        return _linear(b.t(), a, None, "none", [], "").t().contiguous()
    return _linear(a, b.t(), None, "none", [], "")
