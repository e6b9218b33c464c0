"""Mish, as few passes over memory as a CPU needs.

PyTorch's CPU kernel spends two transcendental functions per element and direction on
x tanh(ln(1 + e^x)). Here bfloat16 maps, of which there are only 65,536 different numbers, are
looked up in a table of correctly rounded values. float32 takes one sigmoid: with s = sigmoid(x)
and q = (1 - s)^2, tanh(ln(1 + e^x)) is s (2 - s) / (1 + q), in which nothing cancels, and the
derivative comes out of the same numbers, so that the backward pass is one multiplication.
"""

import functools
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812  (the name everybody uses)

TABLE_CHUNK = 1 << 17  # elements looked up at once: their int32 places stay in the cache
CHUNK = 1 << 16  # float32 elements per thread: the buffers stay in the second-level cache


@functools.cache
def _tables() -> tuple[Tensor, Tensor]:
    """Values and derivatives of all bfloat16 numbers, by their bits read as an integer."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        numbers = torch.arange(1 << 16, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16)
        x = numbers.double().requires_grad_()
        y = F.mish(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
    values = torch.where(numbers == -torch.inf, 0.0, y.detach())
    slope = torch.where(numbers.isinf(), (numbers > 0).double(), slope)
    return values.bfloat16(), slope.bfloat16()


def _flat(x: Tensor) -> Tensor:
    """All elements in the order of memory; a view of a dense tensor of either layout."""
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
        return x.permute(0, 2, 3, 1).reshape(-1)
    return x.reshape(-1)


def _dense(x: Tensor, like: Tensor | None = None) -> Tensor:
    """The tensor without gaps, in its own layout or in that of another."""
    model = x if like is None else like
    if model.dim() == 4 and model.is_contiguous(memory_format=torch.channels_last):
        return x.contiguous(memory_format=torch.channels_last)
    return x.contiguous()


def _look_up(table: Tensor, x: Tensor, factor: Tensor | None = None) -> Tensor:
    """What a table says of each element, perhaps times a factor; `x` is dense."""
    out = torch.empty_like(x)
    bits, flat = _flat(x).view(torch.uint16), _flat(out)
    factors = None if factor is None else _flat(factor)
    for start in range(0, x.numel(), TABLE_CHUNK):
        piece = slice(start, start + TABLE_CHUNK)
        torch.index_select(table, 0, bits[piece].to(torch.int32), out=flat[piece])
        if factors is not None:
            flat[piece].mul_(factors[piece])
    return out


class _TabledMish(torch.autograd.Function):
    """Value and gradient of bfloat16 tensors."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = _dense(x)
        ctx.save_for_backward(x)
        return _look_up(_tables()[0], x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return _look_up(_tables()[1], x, _dense(grad, x))


class _SigmoidMish(torch.autograd.Function):
    """Value and gradient of float32 tensors; saves the derivative instead of the input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = _dense(x)
        out = torch.empty_like(x)
        slope = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        size = min(CHUNK * torch.get_num_threads(), max(x.numel(), 1))
        buffers = torch.empty(3, size)
        for start in range(0, x.numel(), size):
            piece = slice(start, start + size)
            source = _flat(x)[piece]
            s, q, r = buffers[:, : len(source)]
            torch.sigmoid(source, out=s)
            torch.sub(s, 1.0, out=q).square_()
            torch.add(q, 1.0, out=r).reciprocal_()
            t = (2.0 - s).mul_(s).mul_(r)  # tanh(ln(1 + e^x))
            torch.mul(source, t, out=_flat(out)[piece])
            if slope is not None:
                s.mul_(q).mul_(r).mul_(r).mul_(source)
                torch.add(t, s, alpha=4.0, out=_flat(slope)[piece])
        ctx.save_for_backward(slope)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (slope,) = ctx.saved_tensors
        return slope * grad


def mish(x: Tensor) -> Tensor:
    """Give x tanh(ln(1 + e^x)) (arXiv:1908.08681) by the fastest exact way there is.

    Equal to `F.mish` to rounding. float32 and bfloat16 on a CPU take the ways above; other
    devices and types, and exported or compiled programs, take PyTorch's operator.
    """
    exporting = torch.jit._trace.is_tracing() or torch.compiler.is_compiling()
    if x.device.type != "cpu" or exporting:
        return F.mish(x)
    if x.dtype == torch.bfloat16:
        return _TabledMish.apply(x)
    return _SigmoidMish.apply(x) if x.dtype == torch.float32 else F.mish(x)
