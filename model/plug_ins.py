"""Changes to a network that has been put together: attention, learned sums, drops, norms."""

from torch import nn

from model.blocks.attention import attentions
from model.blocks.conv import ConvBlock, Residual
from model.blocks.drops import build_drop
from model.blocks.weighted import WeightedSum
from model.config import BackboneConfig, DropConfig
from model.errors import ConfigurationError
from model.parts import Backbone


def change_residuals(backbone: Backbone, options: BackboneConfig) -> None:
    """Put attention at the end of residual branches, and learned weights on their sums."""
    wanted = {"attention": options.attention != "none", "residual": options.residual != "plain"}
    for key, is_wanted in wanted.items():
        if is_wanted:
            _residuals(backbone, f"backbone.{key}")
    for unit in _residuals(backbone) if any(wanted.values()) else []:
        if wanted["attention"]:
            unit.branch.append(attentions.get(options.attention)(unit.channels))
        if wanted["residual"] and _keeps_channels(unit):
            unit.add = WeightedSum(2, options.residual, None)


def _residuals(backbone: Backbone, wanted_by: str = "") -> list[Residual]:
    """Residual units, in order; a ConfigurationError if a key wants some and there are none."""
    units = [module for module in backbone.modules() if isinstance(module, Residual)]
    if wanted_by and not units:
        raise ConfigurationError(
            "this backbone has no residual units", wanted_by, "leave it out for the tiny models"
        )
    return units


def _keeps_channels(unit: Residual) -> bool:
    """Whether both sides of the sum are equally wide; the first of CSPResNeXt50 is not."""
    entry = unit.branch[0]
    return isinstance(entry, ConvBlock) and entry.conv.in_channels == unit.channels


def insert_drops(backbone: Backbone, options: DropConfig) -> None:
    """Drop paths in all residual units, or cells or channels of the last two stages' outputs.

    Paths are dropped the more often the deeper they are (the linear decay rule of
    arXiv:1603.09382 eq. 4). The stages are the groups 3 and 4 of arXiv:1810.12890.
    """
    if options.kind == "none":
        return
    if options.kind == "path":
        units = _residuals(backbone, "drop.kind")
        for depth, unit in enumerate(units, 1):
            share = options.probability * depth / len(units)
            unit.path = build_drop("path", share, options.block, options.ramp)
        return
    last = len(backbone.drops)
    for place in (last - 2, last - 1):
        backbone.drops[place] = build_drop(
            options.kind, options.probability, options.block, options.ramp
        )


def change_norms(network: nn.Module, norm: str) -> None:
    """Replace batch normalisation by another of the name `norm`."""
    for block in network.modules() if norm != "bn" else ():
        if isinstance(block, ConvBlock):
            block.set_norm(norm)


def set_momentum(network: nn.Module, momentum: float) -> None:
    """Set the weight of a new batch in all rolling statistics."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = momentum
