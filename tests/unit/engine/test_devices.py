"""What a machine says it has, under the limits of control groups."""

import os
import subprocess
from pathlib import Path

import pytest

from evolve.engine import devices
from evolve.engine.devices import Gpu, Memory, ThisMachine
from evolve.errors import EvolveError

MEMINFO = "MemTotal:       8000 kB\nMemFree:        1000 kB\nMemAvailable:   6000 kB\n"
KIB = 1024


def machine(root: Path, files: dict[str, str]) -> ThisMachine:
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return ThisMachine(root)


def test_memory_without_limits(tmp_path):
    assert machine(tmp_path, {}).memory() == Memory(8000 * KIB, 6000 * KIB)


def test_an_old_kernel_tells_free_memory_alone(tmp_path):
    files = {"proc/meminfo": "MemTotal: 8 kB\nMemFree: 5 kB\n"}
    assert machine(tmp_path, files).memory() == Memory(8 * KIB, 5 * KIB)


def test_a_group_limits_memory_and_gives_back_what_files_take(tmp_path):
    files = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": f"{4000 * KIB}\n",
        "sys/fs/cgroup/memory.current": f"{3000 * KIB}\n",
        "sys/fs/cgroup/memory.stat": f"anon {2000 * KIB}\ninactive_file {500 * KIB}\n",
    }
    assert machine(tmp_path, files).memory() == Memory(4000 * KIB, 1500 * KIB)


def test_the_tightest_of_nested_groups_counts(tmp_path):
    files = {
        "proc/self/cgroup": "0::/outer/inner\n",
        "sys/fs/cgroup/outer/memory.max": f"{4000 * KIB}\n",
        "sys/fs/cgroup/outer/memory.current": f"{1000 * KIB}\n",
        "sys/fs/cgroup/outer/inner/memory.max": "max\n",
        "sys/fs/cgroup/outer/inner/memory.current": f"{900 * KIB}\n",
    }
    assert machine(tmp_path, files).memory() == Memory(4000 * KIB, 3000 * KIB)


def test_groups_of_version_1_have_other_names(tmp_path):
    files = {
        "proc/self/cgroup": "4:memory:/docker/abc\n3:cpuset:/\n1:cpu,cpuacct:/docker/abc\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2000 * KIB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{500 * KIB}\n",
        "sys/fs/cgroup/memory/memory.stat": f"total_inactive_file {100 * KIB}\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    here = machine(tmp_path, files)
    assert here.memory() == Memory(2000 * KIB, 1600 * KIB)
    assert here.cores() == 1


def test_a_limit_of_version_1_that_is_none_changes_nothing(tmp_path):
    files = {
        "proc/self/cgroup": "4:memory:/\n1:cpu:/\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{500 * KIB}\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    here = machine(tmp_path, files)
    assert here.memory() == Memory(8000 * KIB, 6000 * KIB)
    assert here.cores() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("limit", "cores"),
    [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("1600000 100000", 8)],
)
def test_a_quota_is_worth_whole_cores(tmp_path, monkeypatch, limit, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{limit}\n"}
    assert machine(tmp_path, files).cores() == cores


def test_disk_of_a_folder_that_is_not_there_yet(tmp_path):
    free = ThisMachine().free_disk_bytes(tmp_path / "runs" / "new")
    assert abs(free - ThisMachine().free_disk_bytes(tmp_path)) < 2**30
    assert free > 0


def test_this_machine_has_something():
    here = ThisMachine()
    memory = here.memory()
    assert 0 < memory.free_bytes <= memory.total_bytes
    assert 1 <= here.cores() <= len(os.sched_getaffinity(0))


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    return lambda code, out, err="": monkeypatch.setattr(
        devices, "_asked_elsewhere", lambda: subprocess.CompletedProcess([], code, out, err)
    )


def test_gpus_are_read_from_the_last_line_of_a_process(two_gpus):
    one = '{"name": "A", "memory": {"total_bytes": 10, "free_bytes": 9}}'
    two_gpus(0, f"a driver says hello\n[{one}, {one}]\n")
    assert ThisMachine().gpus() == (Gpu("A", Memory(10, 9)),) * 2


def test_gpus_that_do_not_answer_are_an_error_with_their_words(two_gpus):
    two_gpus(1, "", "Traceback\nRuntimeError: CUDA error: busy\n")
    with pytest.raises(EvolveError, match="the GPUs cannot be asked: RuntimeError: CUDA error"):
        ThisMachine().gpus()


def test_gpus_that_never_answer(two_gpus, monkeypatch):
    def late(*_, **__):
        raise subprocess.TimeoutExpired("python", 120)

    monkeypatch.setattr(subprocess, "run", late)
    with pytest.raises(EvolveError, match="no answer in 120 s"):
        ThisMachine().gpus()


def test_no_process_is_started_without_a_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr(devices, "_asked_elsewhere", lambda: pytest.fail("started"))
    assert ThisMachine().gpus() == ()
