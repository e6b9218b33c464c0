"""Latency of a network, measured in a process of its own.

The process of a run has its threads set for its trials, and would hold a GPU's memory; one that
`evolve speed` would be is neither disturbed by that nor disturbs anything afterwards.
"""

import json
import subprocess
import sys
from typing import Any

from evolve.costs import measure_costs
from evolve.engine.devices import importing_us
from evolve.errors import TrialError
from model.config import TrainConfig
from model.errors import ModelError

TIME_LIMIT_S = 600.0
WHERE = "the measurement of a network"
_KEY = "network"


def measure_apart(
    config: TrainConfig, classes: int, *, time_limit_s: float = TIME_LIMIT_S
) -> dict[str, Any]:
    """What one network costs, as of `measure_costs` with one row.

    Raises
    ------
    TrialError
        If it cannot be built or timed; the reason is its `what`.
    """
    request = {"config": config.to_dict(), "classes": classes}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "evolve.cost_process"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=time_limit_s,
            env=importing_us(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TrialError(
            f"it took longer than {time_limit_s:g} s",
            WHERE,
            "measure on a machine with less to do; 'evolve speed' shows what takes so long",
        ) from None
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        what = f"its process ended with code {done.returncode} and said: {said[0]}"
        raise TrialError(
            what, WHERE, "'evolve speed' measures the same network and shows more"
        ) from None
    if "failure" in answer:
        raise TrialError(answer["failure"], WHERE)
    assert isinstance(answer, dict)
    return answer


def main() -> None:
    """Answer the request on stdin by one line on stdout: costs, or why there are none."""
    request = json.load(sys.stdin)
    config = TrainConfig.model_validate(request["config"])
    try:
        answer = measure_costs({_KEY: config}, request["classes"])
    except ModelError as error:
        answer = {"failure": error.what}
    except Exception as error:  # a driver or a library may fail in any way
        first_line = next(iter(str(error).splitlines()), "")
        answer = {"failure": f"{type(error).__name__}: {first_line}"}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
