"""A contact sheet of the images that a training begins with."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from evolve.errors import StoreError
from evolve.train_config import build_config
from model.files import write_atomically

if TYPE_CHECKING:
    from model.config import TrainConfig
    from model.data.recipe import Recipe


NO_TEACHER = "none"  # whose answers are not seen in an image


def write_preview(
    data: str | None,
    out: Path,
    ingredients: str | None,
    named: dict[str, Any],
    overrides: Sequence[str],
    *,
    count: int,
    columns: int,
    split_seed: int,
) -> str:
    """Write the sheet as a PNG and say what it shows.

    Parameters
    ----------
    data : str, optional
        As for `evolve.data_source.resolve_data`.
    out : Path
    ingredients : str, optional
        Keys, as for `build_config`.
    named : dict of key path -> value
        Task and seed.
    overrides : sequence of str
        ``key=value`` items.
    count, columns : int
        Images, and how many stand beside each other.
    split_seed : int
        Of the split of a single annotations file.

    Raises
    ------
    EvolveError, ModelError
        For faults in the settings or the data.
    StoreError
        If the file cannot be written, or is not to be a PNG.
    """
    if out.suffix.lower() != ".png":
        raise StoreError("the sheet is written as a PNG", str(out), "name a file that ends so")
    from model.preview import contact_sheet

    config = build_config(
        None, named, overrides, task=named["task"], ingredients=ingredients,
        given={"KD": {"distill.teacher": NO_TEACHER}},
    )  # fmt: skip
    recipe, classes, name = _recipe(config, data, split_seed)
    size = recipe.size_wh[0]
    parts = [f"{name} at {size} px", f"seed {config.seed}"]
    if config.task == "classify":
        parts.append("classifier")
    if ingredients:
        parts.append(f"baseline with {ingredients}")
    title = ", ".join([*parts, *overrides])
    sheet = contact_sheet(recipe, classes, title, count=count, columns=columns)
    _, png = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    try:
        write_atomically(out, lambda file: file.write(png.tobytes()))
    except OSError as error:
        raise StoreError(
            f"cannot write the picture: {error.strerror}", str(out), "give another --out"
        ) from error
    return f"{out}: {sheet.shape[1]} x {sheet.shape[0]} pixels, {title}"


def _recipe(
    config: "TrainConfig", data: str | None, split_seed: int
) -> tuple["Recipe", Sequence[str], str]:
    """How the training makes its images, the names of its classes, and that of the data."""
    from evolve.data_source import resolve_data
    from evolve.engine.trainers import shared_class_data, shared_data
    from model.classify import class_image_size
    from model.data.batch_plan import largest_size
    from model.data.cache import ImageCache
    from model.data.class_recipe import ClassRecipe
    from model.data.recipe import DetectionRecipe
    from model.from_data import auto_image_size

    source = resolve_data(data)
    limit_bytes = config.data.cache_mb << 20
    if config.task == "classify":
        classes = shared_class_data(source.path, split_seed)
        samples = classes.splits["train"]
        side = class_image_size(samples) if config.image_size == "auto" else config.image_size
        cache = ImageCache(limit_bytes, classes.held_side(side))
        recipe = ClassRecipe(samples, cache, config, (side, side), len(classes.classes))
        return recipe, classes.classes, source.name
    dataset = shared_data(source.path, split_seed)
    side = auto_image_size(dataset) if config.image_size == "auto" else config.image_size
    cache = ImageCache(limit_bytes, 2 * largest_size(config, side))
    records = dataset.splits["train"]
    return DetectionRecipe(records, cache, config, (side, side)), dataset.classes, source.name
