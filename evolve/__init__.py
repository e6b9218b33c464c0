"""Evolve the hyperparameters of a YOLOv4 detector, and tell which of them helped.

>>> from evolve import run
>>> result = run("ga", "mydata", trials=30)  # doctest: +SKIP

What is named here is imported when it is first used, so that `import evolve` is quick.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evolve.api import ablate, run
    from evolve.errors import EvolveError
    from evolve.results import Best, RunResult, TableResult, load, report

__all__ = ["Best", "EvolveError", "RunResult", "TableResult", "ablate", "load", "report", "run"]

_HOMES = {"ablate": "api", "run": "api", "EvolveError": "errors"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'evolve' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"evolve.{_HOMES.get(name, 'results')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
