"""Search spaces: which settings are searched, between which bounds, and why."""

from evolve.space.load import (
    apply_overrides,
    bundled_folder,
    bundled_spaces,
    find_space_file,
    load_space,
)
from evolve.space.parameter import Parameter
from evolve.space.space import Space

__all__ = [
    "Parameter",
    "Space",
    "apply_overrides",
    "bundled_folder",
    "bundled_spaces",
    "find_space_file",
    "load_space",
]
