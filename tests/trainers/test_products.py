"""Products by oneDNN: the same ones as MKL's, and only where they are the faster ones."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trainers import products

SIZES = [(3, 5, 2), (200, 64, 100), (256, 576, 16), (16, 2048, 576), (96, 100, 300)]


def laid_out(rows: int, columns: int, *, transposed: bool, dtype: torch.dtype) -> torch.Tensor:
    drawn = torch.randn(columns, rows).t() if transposed else torch.randn(rows, columns)
    return drawn.to(dtype) if dtype.is_floating_point else (drawn * 10).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64], ids=str)
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_they_are_what_they_should_be(
    size: tuple[int, int, int], transposed: tuple[bool, bool], dtype: torch.dtype
) -> None:
    rows, inner, columns = size
    torch.manual_seed(0)
    a = laid_out(rows, inner, transposed=transposed[0], dtype=dtype)
    b = laid_out(inner, columns, transposed=transposed[1], dtype=dtype)
    found = products.product(a, b)
    assert (found.dtype, found.shape, found.is_contiguous()) == (dtype, (rows, columns), True)
    torch.testing.assert_close(found.double(), a.double() @ b.double(), atol=5e-4, rtol=1e-5)  # sums of up to 2,048
    assert torch.equal(found, products.product(a, b))


def test_gradients_of_sums_and_parts_of_matrices_have_layouts_of_their_own() -> None:
    torch.manual_seed(0)
    one, wide = torch.ones(()).expand(200, 300), torch.randn(300, 512)
    for a, b in ((one, wide), (wide.t(), one.t()), (wide[:, 100:400:2], wide[:150]), (wide[::2], wide[:, :512].t())):
        torch.testing.assert_close(products.product(a, b).double(), a.double() @ b.double(), atol=5e-4, rtol=1e-5)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        products.product(wide, wide)


BY_A_LAYER = """
import sys, torch
from pathlib import Path
from trainers import products
products.CPUS = Path(sys.argv[1])
layer, x = torch.nn.Linear(256, 512, bias=False), torch.randn(4, 100, 256, requires_grad=True)
def used():
    with torch.profiler.profile() as profile:
        layer(x).square().sum().backward()
    return {event.name: None for event in profile.events()}.keys() & {"mkldnn::_linear_pointwise"}, x.grad.clone()
before, gradient = used()
x.grad = None
products.use(); products.use()
after, other = used()
torch.testing.assert_close(gradient, other)
print(len(before), len(after))
"""


@pytest.mark.parametrize(("maker", "used"), [("AuthenticAMD", "0 1"), ("GenuineIntel", "0 0"), (None, "0 0")])
def test_only_a_processors_maker_decides(tmp_path: Path, maker: str | None, used: str) -> None:
    cpus = tmp_path / "cpuinfo"
    if maker:
        cpus.write_text(f"processor : 0\nvendor_id : {maker}\nflags : fpu avx512f\n")
    command = [sys.executable, "-W", "error", "-c", BY_A_LAYER, cpus]
    assert subprocess.check_output(command, text=True).split("\n")[-2] == used
