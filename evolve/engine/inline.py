"""The engine without Ray: trials one after another in this process."""

from evolve.engine.director import Director
from evolve.engine.schedulers import Decision
from evolve.engine.trial import run_trial


def run_inline(director: Director) -> None:
    """Run all trials of a director here; an interrupt leaves the running one resumable."""
    while (task := director.next_task()) is not None:
        row = None
        rows = run_trial(task)
        try:
            for row in rows:
                if director.take(task.number, row) is not Decision.GO:
                    break
        finally:
            rows.close()
        director.finish(task.number, row)
