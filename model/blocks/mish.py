"""Mish, in closed form and few passes on a CPU.

PyTorch's CPU kernel spends two transcendental functions per element and direction on
x tanh(ln(1 + e^x)). With e = e^x and n = e^2 + 2e the same is x n / (n + 2), one exponential,
and nothing in it cancels, neither in the value nor in the gradient.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812  (the name everybody uses)

LARGEST = 20.0  # n / (n + 2) is 1 in float32 from 9 on, and e^80 overflows
CHUNK = 1 << 16  # float32 elements per thread: the buffers stay in the second-level cache


class _ClosedMish(torch.autograd.Function):
    """Value and gradient; saves only the input and computes in float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.contiguous()
        ctx.save_for_backward(x)
        out = torch.empty_like(x)
        size = CHUNK * torch.get_num_threads()
        for source, target in zip(x.view(-1).split(size), out.view(-1).split(size), strict=True):
            wide = source.float()
            e = wide.clamp(max=LARGEST).exp_()
            n = torch.addcmul(e, e, e).add_(e)
            torch.add(n, 2.0, out=e)
            target.copy_(n.div_(e).mul_(wide))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """(n + 4 x e (1 + e) / (n + 2)) / (n + 2), times `grad`."""
        (x,) = ctx.saved_tensors
        out = torch.empty_like(x)
        size = CHUNK * torch.get_num_threads()
        pieces = (t.reshape(-1).split(size) for t in (x, grad.contiguous(), out))
        for source, arriving, target in zip(*pieces, strict=True):
            wide = source.float()
            e = wide.clamp(max=LARGEST).exp_()
            k = torch.addcmul(e, e, e)
            n = e.add_(k)
            wide.mul_(k)
            torch.add(n, 2.0, out=k)
            n.addcdiv_(wide, k, value=4.0).div_(k)
            target.copy_(n.mul_(arriving))
        return out


def mish(x: Tensor) -> Tensor:
    """Give x tanh(ln(1 + e^x)) (arXiv:1908.08681) by the fastest exact way there is.

    Equal to `F.mish` to rounding. float32 and bfloat16 on a CPU take the closed form; other
    devices and types, and exported or compiled programs, take PyTorch's operator.
    """
    plain = x.device.type != "cpu" or x.dtype not in (torch.float32, torch.bfloat16)
    if plain or torch.jit._trace.is_tracing() or torch.compiler.is_compiling():
        return F.mish(x)
    return _ClosedMish.apply(x)
