"""Multi-input weighted residual connections, MiWRC (arXiv:1911.09070 sec. 3.3; darknet's form)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.errors import ConfigurationError, nearest

EPS = 1e-4
NORMALISATIONS = ("relu", "softmax")


class WeightedSum(nn.Module):
    """Sum of maps with learned weights that add up to (nearly) one.

    a_i = r_i / (1e-4 + sum_j r_j) with r_i = max(w_i, 0), or e^(w_i - max w) for softmax. Their
    gradients are exact, where darknet approximates.

    Parameters
    ----------
    inputs : int
        Number of maps.
    normalisation : str
        "relu" (EfficientDet's fast fusion) or "softmax".
    channels : int, optional
        With it every channel has its own weights (darknet's per_channel), else not (per_feature).

    Attributes
    ----------
    weights : Parameter, shape (inputs,) or (inputs, channels)
        At first 1: the mean of the maps. In memory input by input, as in darknet's files.
    """

    def __init__(self, inputs: int, normalisation: str, channels: int | None = None) -> None:
        super().__init__()
        if normalisation not in NORMALISATIONS:
            raise ConfigurationError(
                f"no such normalisation of weights: '{normalisation}'",
                mend=nearest(normalisation, NORMALISATIONS),
            )
        self.normalisation = normalisation
        self.weights = nn.Parameter(
            torch.ones((inputs,) if channels is None else (inputs, channels))
        )

    def shares(self) -> Tensor:
        """The normalised weights, shape of `weights`."""
        if self.normalisation == "relu":
            positive = self.weights.relu()
        else:
            positive = (self.weights - self.weights.amax(0, keepdim=True)).exp()
        return positive / (EPS + positive.sum(0, keepdim=True))

    def forward(self, *maps: Tensor) -> Tensor:
        """Map as many (B, C, H, W) as there are weights to one of the same shape and type."""
        shares = self.shares().to(maps[0].dtype).view(len(self.weights), -1, 1, 1)
        return weighted_sum(maps, shares.unbind())


def weighted_sum(maps: Sequence[Tensor], shares: Sequence[Tensor]) -> Tensor:
    """Sum of every map times its share, which is broadcast to it."""
    total = maps[0] * shares[0]
    for x, share in zip(maps[1:], shares[1:], strict=True):
        total = torch.addcmul(total, x, share)
    return total
