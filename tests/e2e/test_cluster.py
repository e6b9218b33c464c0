"""`evolve run --address` on a Ray cluster of three machines, all of them this one."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import ray

from evolve.engine.cluster import opened_cluster
from evolve.errors import EvolveError
from evolve.store.folder import RunFolder
from evolve.store.study import ATTEMPTS_ATTR
from tests.e2e import test_ablate
from tests.e2e.test_run import (
    SPACE,
    finished,
    on_curves,
    run,
    run_anew,
    start_anew,
    told,
    trials,
    wait_until,
)
from tests.thorough import thorough
from tests.tiny_data import write_tiny_coco

pytestmark = [pytest.mark.ray, pytest.mark.slow]

HOST = Path(__file__).with_name("cluster_host.py")


@pytest.fixture(scope="module")
def private_ray():
    """A folder for Ray alone, with a short path because sockets lie in it."""
    folder = tempfile.mkdtemp(prefix="evr", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Host:
    """The process that holds the cluster."""

    def __init__(self, cache):
        self.client_port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, str(HOST), str(self.client_port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "EVOLVE_CACHE_DIR": str(cache), "PYTHONPATH": ""},
        )
        self.address = self._answer()["address"]
        self.tree = psutil.Process(self.process.pid).children(recursive=True)

    def _answer(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise AssertionError("the cluster did not start")

    def lose_a_machine(self):
        self.process.stdin.write("lose\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        for one in self.tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()


@pytest.fixture(scope="module")
def cluster(private_ray, tmp_path_factory):
    host = Host(tmp_path_factory.mktemp("node-cache"))
    yield host
    host.close()
    left = [p for p in host.tree if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    assert left == []


@pytest.fixture
def work(tmp_path):
    (tmp_path / "my.yaml").write_text(SPACE)
    for seconds in ("0", "0.5"):
        (tmp_path / f"curve-{seconds}").mkdir()
    return tmp_path


def quickly_refused(work, *arguments):
    """What a command says that must give up within ten seconds; imports are not counted."""
    begun = time.monotonic()
    done = run_anew(work, *arguments)
    assert time.monotonic() - begun < 10 + 20  # a busy machine imports slowly
    assert done.returncode == 2, done.stderr
    assert not (work / "out").exists()
    return done.stderr


# -- what is refused ---------------------------------------------------------------------------


@pytest.fixture
def own_environment(private_ray, monkeypatch):
    """Ray's settings go with the test."""
    for name in list(os.environ):
        monkeypatch.setenv(name, os.environ[name])
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]


@pytest.mark.parametrize(
    ("address", "what", "mend"),
    [
        ("auto", "no Ray cluster runs on this machine", "ray start --head"),
        ("nonsense", "is no address of a Ray cluster", "ray://HOST:PORT"),
        ("127.0.0.1:99999", "nothing answers at", "ray status"),
        ("no.such.host.invalid:6379", "nothing answers at", "ray status"),
        (f"127.0.0.1:{free_port()}", "nothing answers at", "ray status"),
        (f"ray://127.0.0.1:{free_port()}", "nothing answers at", "ray status"),
    ],
    ids=["none", "nonsense", "no-port", "no-host", "closed", "closed-to-clients"],
)
def test_an_address_without_a_cluster(own_environment, address, what, mend):
    begun = time.monotonic()
    with pytest.raises(EvolveError, match=what) as e, opened_cluster(address):
        pass
    assert mend in e.value.mend
    assert time.monotonic() - begun < 10


def test_a_command_without_a_cluster(work, private_ray):
    said = quickly_refused(work, *on_curves("ray", "--address", "auto"))
    assert "no Ray cluster runs on this machine" in said


@pytest.mark.parametrize("kind", ["", "ray://"])
def test_something_else_answers(work, private_ray, kind):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        address = f"{kind}127.0.0.1:{silent.getsockname()[1]}"
        said = quickly_refused(work, *on_curves("ray", "--address", address))
    assert "no Ray cluster" in said


def test_more_than_any_machine_has(work, cluster):
    said = quickly_refused(work, *on_curves("ray", "--address", "auto", "--workers", "4"))
    assert "4 trials at once cannot be had on 3 machines with 3 CPUs" in said


def test_another_version_of_ray(work, cluster):
    """The cluster tells another version than its own, as far as anybody asks."""
    change = (
        "import json, sys; from ray._raylet import GcsClient\n"
        "gcs = GcsClient(address=sys.argv[1]); place = b'cluster'\n"
        "told = json.loads(gcs.internal_kv_get(b'CLUSTER_METADATA', namespace=place))\n"
        "told['ray_version'] = sys.argv[2]\n"
        "gcs.internal_kv_put(b'CLUSTER_METADATA', json.dumps(told).encode(), True, place)\n"
    )

    def tell(version):
        subprocess.run([sys.executable, "-c", change, cluster.address, version], check=True)

    tell("2.9.3")
    try:
        said = quickly_refused(work, *on_curves("ray", "--address", cluster.address))
    finally:
        tell(ray.__version__)
    assert f"the cluster has Ray 2.9.3, and Ray {ray.__version__} is here" in said


# -- what runs ---------------------------------------------------------------------------------


def left_alone(cluster):
    """Whether all of a cluster is free, and nothing is left on it by those who used it."""
    ask = (
        "import logging, sys, time, ray\n"
        "ray.init(address=sys.argv[1], logging_level=logging.ERROR, log_to_driver=False)\n"
        "def left():\n"
        "    groups = {g['state'] for g in ray.util.placement_group_table().values()}\n"
        "    actors = {a['State'] for a in ray._private.state.actors().values()}\n"
        "    all_free = ray.available_resources().get('CPU') == ray.cluster_resources()['CPU']\n"
        "    return not all_free or groups - {'REMOVED'} or actors - {'DEAD'}\n"
        "end = time.time() + 20\n"
        "while left() and time.time() < end: time.sleep(0.2)\n"
        "sys.exit(bool(left()))\n"
    )
    return (
        subprocess.run([sys.executable, "-c", ask, cluster.address], check=False).returncode == 0
    )


def manifest(work):
    return json.loads((work / "out" / "manifest.json").read_text())


def test_a_run_uses_all_machines_and_leaves_the_cluster_as_it_was(work, cluster):
    done = run_anew(work, *on_curves("ray", "--address", cluster.address, "--trials", "4"))
    assert done.returncode == 0, done.stderr
    assert {state for state, *_ in told(work).values()} <= {"COMPLETE", "PRUNED"}
    assert manifest(work)["workers"] == 3
    assert manifest(work)["cluster"]["address"] == cluster.address
    assert len(manifest(work)["cluster"]["nodes"]) == 3
    assert list(work.glob("**/.evolve-*")) == []
    assert left_alone(cluster)
    # the cluster is no part of what the run is
    done = run_anew(work, "resume", "out", "--trials", "5", "--engine", "inline")
    assert done.returncode == 0, done.stderr
    assert len(told(work)) == 5
    assert manifest(work)["cluster"] is None


@thorough
def test_a_table_is_trained_on_all_machines(work, cluster):
    (work / "rates.yaml").write_text(test_ablate.ROWS)
    table = ("--seeds", "2", "--address", cluster.address)
    done = run_anew(work, *test_ablate.on_curves(*table, engine="ray"))
    assert done.returncode == 0, done.stderr
    assert manifest(work)["workers"] == 3
    assert len(manifest(work)["cluster"]["nodes"]) == 3
    assert left_alone(cluster)
    twin = run(work, *test_ablate.on_curves("--seeds", "2", out="twin"))
    assert twin.returncode == 0, twin.stderr
    assert test_ablate.outcome(work / "out") == test_ablate.outcome(work / "twin")
    # the cluster is no part of what the table is
    more = run(work, "resume", "out", "--seeds", "3", "--engine", "inline")
    assert more.returncode == 0, more.stderr
    assert len(test_ablate.outcome(work / "out")) == 9
    assert manifest(work)["cluster"] is None


@thorough
def test_a_client_outside_of_the_cluster(work, cluster):
    address = f"ray://127.0.0.1:{cluster.client_port}"
    done = run_anew(work, *on_curves("ray", "--address", address, "--trials", "2"))
    assert done.returncode == 0, done.stderr
    assert {state for state, *_ in told(work).values()} <= {"COMPLETE", "PRUNED"}
    assert left_alone(cluster)


def test_data_are_sent_and_trained_on(work, cluster):
    write_tiny_coco(work / "tiny")
    done = run_anew(
        work, "run", "--space", "smoke.yaml", "--data", "tiny", "--out", "out", "--trials", "2",
        "--confirm", "0", "--no-probe", "--set", "epochs=1", "--address", "auto", "--ship-data",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {state for state, *_ in told(work).values()} <= {"COMPLETE", "PRUNED"}
    assert manifest(work)["cluster"]["shipped_data"]


def epochs(work, number):
    """Epochs that a trial has behind it."""
    return [row["epoch"] for row in RunFolder(work / "out").trial(number).read_metrics()]


@thorough
def test_a_cluster_that_takes_machines_back_loses_nothing(work, cluster):
    more = ("--address", "auto", "--set", "scheduler=none", "--set", "epochs=60", "--trials", "2")
    process = start_anew(work, *on_curves("ray", *more, data="curve-0.5"), every_s="1000")
    try:
        wait_until(lambda: all(epochs(work, number) for number in range(2)))
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "evolve resume out" in errors
    assert all(RunFolder(work / "out").trial(number).last.is_file() for number in range(2))
    assert left_alone(cluster)


def test_a_machine_is_lost_and_nothing_else(work, cluster):
    more = ("--address", "auto", "--set", "scheduler=none", "--set", "epochs=60", "--trials", "3")
    process = start_anew(work, *on_curves("ray", *more, data="curve-0.5"))
    try:
        wait_until(lambda: all(epochs(work, number) for number in range(3)))
        assert finished(work) == 0
        cluster.lose_a_machine()
        _, errors = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert {state for state, *_ in told(work).values()} == {"COMPLETE"}
    kinds = [f["type"] for t in trials(work) for f in t.user_attrs.get(ATTEMPTS_ATTR, ())]
    assert kinds
    assert set(kinds) == {"lost-node"}
    for number in told(work):
        assert epochs(work, number) == list(range(1, 61))
    lost = next(t.number for t in trials(work) if t.user_attrs.get(ATTEMPTS_ATTR))
    log = (work / "out" / "trials" / f"{lost:05d}" / "log.txt").read_text()
    begins = re.findall(r"begins with epoch=(\d+)", log)
    assert len(begins) == 2
    assert int(begins[1]) > int(begins[0]) == 1  # from its last checkpoint, elsewhere
