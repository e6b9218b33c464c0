"""Sizes of models, by their names: ``yolov4-nano`` is the family yolov4 in the size nano."""

SIZES = ("-small", "-nano")


def unsized(model: str) -> str:
    """The family of a model."""
    for size in SIZES:
        if model.endswith(size):
            return model.removesuffix(size)
    return model


def sized(model: str, like: str) -> str:
    """A model's family in the size of another model."""
    return unsized(model) + like.removeprefix(unsized(like))
