"""The engine without Ray: trials one after another in this process."""

from evolve.engine.coordinator import Coordinator
from evolve.engine.trial import run_trial


def run_inline(coordinator: Coordinator) -> None:
    """Run all trials of a coordinator here; an interrupt leaves the running one resumable."""
    while (task := coordinator.next_task()) is not None:
        row = None
        rows = run_trial(task)
        try:
            for row in rows:
                coordinator.record(task.number, row)
                if not coordinator.goes_on(task.number, row):
                    break
        finally:
            rows.close()
        coordinator.finish(task.number, row)
