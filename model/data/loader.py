"""Mini-batches of training, made here or ahead by worker processes."""

from collections.abc import Generator

from model.data.batch import Batch
from model.data.batch_plan import MiniBatch, fixed_mini_batch, largest_size
from model.data.recipe import Recipe
from model.data.workers import WorkerPool


class RecipeLoader:
    """Mini-batches of an epoch, painted with OpenCV.

    The same recipe and epoch give the same batches, bit for bit, with any number of workers.

    Parameters
    ----------
    recipe : Recipe
        With workers its pictures must be in a `SharedCache`, or each worker decodes for itself.
    workers : int
        Processes that prepare mini-batches ahead, started with the first epoch; 0 prepares each
        when it is asked for.

    Attributes
    ----------
    positions : int
        Images of an epoch.
    """

    def __init__(self, recipe: Recipe, workers: int = 0) -> None:
        self.recipe = recipe
        self.positions = recipe.positions
        self._workers = workers
        self._pool: WorkerPool | None = None

    @property
    def waited_s(self) -> float:
        """Seconds that the running epoch, or the last one, has waited for mini-batches."""
        return self._pool.waited_s if self._pool else 0.0

    def __len__(self) -> int:
        """Mini-batches of the first epoch; of every one unless they are dynamic."""
        return len(self.plan(0))

    def plan(self, epoch: int) -> tuple[MiniBatch, ...]:
        """Mini-batches of an epoch, in order."""
        return self.recipe.steps(epoch)

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch]:
        """Mini-batches of an epoch; the images of one are valid until the next is asked for.

        Parameters
        ----------
        epoch : int
            Counted from 0.
        start : int
            Mini-batch to begin with; those before it are not made.
        """
        if self._pool is None:
            self._pool = WorkerPool(self.recipe, self._workers, _largest_bytes(self.recipe))
        self._pool.waited_s = 0.0
        return self._pool.batches(epoch, len(self.plan(epoch)), start)

    def use(self, recipe: Recipe) -> None:
        """Take another recipe of the same pictures and plan; ends the running epoch."""
        self.close()
        self.recipe = recipe

    def close(self) -> None:
        """End the running epoch and the workers; another epoch starts them again."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _largest_bytes(recipe: Recipe) -> int:
    """Bytes of the images of the largest mini-batch: a dynamic one has no more pixels either."""
    width, height = recipe.size_wh
    largest = largest_size(recipe.config, width)
    return 3 * fixed_mini_batch(recipe.config) * largest * (largest * height // width)
