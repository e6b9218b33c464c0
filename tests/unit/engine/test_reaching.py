"""What must be said about a cluster, and what is made of what Ray says."""

from dataclasses import replace
from pathlib import Path

import pytest

from evolve.data_source import DataSource
from evolve.engine import ray_tune
from evolve.engine.placement import Placement
from evolve.engine.ray_tune import death_of, demands
from evolve.errors import EvolveError, RunError
from evolve.runs import RunRequest
from evolve.session import reached_cluster
from tests.unit.engine.made_up import make_space

PLACEMENT = Placement(
    workers=6, cpus=12, threads=2, gpus=0, gpus_per_trial=0.0, trials_per_gpu=0,
    bound="cores", why="", nodes=3, cpus_alone=4, memory_bytes=1 << 30,
)  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ({"ship_data": True}, "data are sent to a cluster only"),
        ({"address": "auto", "engine": "inline"}, "the inline engine uses no cluster"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, asked, what):
    data = DataSource(tmp_path, "data", str(tmp_path))
    request = RunRequest(space=make_space(tmp_path), data=data, out=Path("out"), **asked)
    with pytest.raises(EvolveError, match=what), reached_cluster(request):
        pass


def test_a_ray_that_does_not_start_is_no_error_of_ours(monkeypatch):
    def is_slow(**_):
        raise RuntimeError("The current node timed out during startup. This could happen because")

    monkeypatch.setattr(ray_tune, "set_up_environment", lambda **_: None)
    monkeypatch.setattr(ray_tune.ray, "init", is_slow)
    with pytest.raises(RunError) as caught, ray_tune.local_ray(PLACEMENT):
        pass
    assert caught.value.what == "Ray did not start: The current node timed out during startup"
    assert "evolve resume" in caught.value.mend


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        # as Ray 2.60 says it of a machine that is gone
        ("The actor 0f is unavailable: The actor is temporarily unavailable: RpcError: RPC error: "
         "Socket closed rpc_code: 14.", "lost-node"),
        ("The actor died because its node has died. Node Id: 0f", "lost-node"),
        ("the actor's node was preempted: spot", "lost-node"),
        ("the actor's node was terminated unexpectedly: no heartbeat", "lost-node"),
        ("Task failed because the node it was running on is dead or unavailable.", "lost-node"),
        ("Owner's node has crashed.", "lost-node"),
        # and of a process alone
        ("The actor died unexpectedly before finishing this task.\n\tnamespace: x\nThe actor is "
         "dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit "
         "detail: Worker unexpectedly exits with a connection error code 2. End of file. Some "
         "common causes include: (1) the process was killed by the OOM killer due to high memory "
         "usage, (2) ray stop --force was", "killed"),
        ("Task was killed due to the node running low on memory.", "oom"),
        ("RayTaskError: x\nTraceback\nValueError: bad", "error"),
    ],
)  # fmt: skip
def test_what_ray_says_of_an_end_has_its_type(said, kind):
    assert death_of(said)["type"] == kind


def test_a_trial_asks_for_its_share_or_for_a_machine():
    def share(placement, alone=False):
        return demands({"task": {"alone": alone}}, placement).bundles[0]

    assert share(PLACEMENT) == {"CPU": 2.0, "memory": float(1 << 30)}
    assert share(PLACEMENT, alone=True)["CPU"] == 4.0
    on_gpus = replace(PLACEMENT, gpus=4, gpus_per_trial=0.5, memory_bytes=0)
    assert share(on_gpus) == {"CPU": 2.0, "GPU": 0.5}
    assert share(on_gpus, alone=True) == {"CPU": 2.0, "GPU": 1.0}
    assert share(replace(on_gpus, gpus_per_trial=2.0), alone=True)["GPU"] == 2.0
