"""Whatever is done to a file from outside, its reader gives an error of ours or reads it.

The long form, for hours if wanted: ``python -m tests.property.fuzz --examples 100000``.
"""

import random
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.fuzz import ROOT, try_one
from tests.property.fuzz_targets import TARGETS

FAST = [name for name, target in TARGETS.items() if not target.slow]
SLOW = [name for name, target in TARGETS.items() if target.slow]
UNSHRUNK = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Targets by name, each made at its first use."""
    found = {}

    def make(name):
        if name not in found:
            found[name] = TARGETS[name](tmp_path_factory.mktemp(name))
        return found[name]

    return make


@pytest.mark.parametrize("name", FAST)
def test_a_fast_reader(name, made):
    _feed(made(name), 20)


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_reader(name, made):
    _feed(made(name), 2 if name == "cfg" else 5)


def _feed(target, examples):
    @settings(max_examples=examples, **UNSHRUNK)
    @given(st.integers(0, 2**32))
    def feed(seed):
        assert try_one(target, seed) in ("read", "refused")

    feed()


def test_a_seed_makes_the_same_input_again(made):
    target = made("coco")
    contents = []
    for _ in range(2):
        target.spoil(random.Random(5))
        contents.append(target.file.read_bytes())
    assert contents[0] == contents[1] != target.text


BOMB = """
import gzip, pathlib, resource, sys
from model.errors import ModelError
from evolve.analysis.matching import load_detections
path = pathlib.Path(sys.argv[1])
with gzip.open(path, "wb", 1) as file:
    for _ in range(1100):
        file.write(bytes(1 << 20))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import evolve.analysis.matching as matching
matching.LIMIT_BYTES = 1 << 24
try:
    load_detections(path)
except ModelError as error:
    print(error.what)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024
"""


def test_a_gz_bomb_takes_no_more_memory_than_its_bound(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(tmp_path / "detections.json.gz")],
        capture_output=True, text=True, cwd=ROOT, check=True, timeout=120,
    )  # fmt: skip
    assert "unpacked it is larger than 16,777,216 bytes" in done.stdout
