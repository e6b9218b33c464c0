"""What a run is expected to take."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolve.engine.course import Course, course_of, expected_epochs, rungs
from evolve.engine.placement import Asked, place
from evolve.engine.plan import EPOCH_BYTES, TRIAL_BYTES, Behind, check_disk, make_plan
from evolve.engine.schedulers import Decision, build_scheduler
from evolve.engine.schedulers.kinds import SPARED, Setting
from evolve.errors import EvolveError
from evolve.testing.devices import GIB, MadeUpDevices, gpu
from tests.unit.engine.test_placement import A_PROBE

PROBE = dataclasses.replace(A_PROBE, epochs=50)  # 4 s an epoch, 202 s a training


def plan(cores=2, probe=PROBE, machine=None, **asked):
    devices = machine or MadeUpDevices(of_cores=cores)
    return make_plan(probe, place(probe, devices, Asked()), **asked)


def test_a_plan_in_words():
    (line,) = plan(trials=30, course=course_of("asha", 30, 50), finals=12).lines()
    assert line == (
        "plan   30 trials of 50 epochs, at most; rungs at epochs 6, 18; about 21m13s on "
        "2 at once, then 20m12s final comparison; 1.5 GB disk; 2.1 GB memory"
    )


def test_a_plan_of_one_trial_alone():
    (line,) = plan(trials=1).lines()
    assert line.startswith("plan   1 trial of 50 epochs; about 3m22s on 2 at once; ")


def test_a_plan_of_a_final_comparison_that_is_left():
    found = plan(trials=0, finals=3)
    assert found.lines()[0].startswith("plan   about 6m44s final comparison on 2 at once; ")
    assert found.search_s == found.search_most_s == 0


def test_a_shared_gpu_is_told_of():
    machine = MadeUpDevices(of_gpus=(gpu(24),), of_cores=8)
    probe = dataclasses.replace(PROBE, device_bytes=5 * GIB)
    found = plan(probe=probe, machine=machine, trials=8)
    assert found.shared == 4
    first, second = found.lines()
    assert first.endswith("4.3 GB memory, 21 GB on a GPU")
    assert second.strip() == "if 4 trials on a GPU do not slow each other"
    assert found.device_s == pytest.approx(8 * 202 / 4)


def test_seconds_without_a_scheduler():
    found = plan(trials=30)
    assert found.search_s == found.search_most_s == pytest.approx(30 * 202 / 2 + 202 / 4)
    assert found.trial_epochs == 50
    assert found.device_s == pytest.approx(30 * 202)  # one thread each


def test_no_search_is_shorter_than_a_training():
    assert plan(cores=64, trials=30, course=course_of("asha", 30, 50)).search_s == 202
    assert plan(cores=30, trials=31, course=course_of("asha", 31, 50)).search_s == 202


def test_a_final_comparison_comes_in_waves():
    assert plan(trials=1, finals=12).final_s == pytest.approx(6 * 202)
    assert plan(trials=1, finals=13).final_s == pytest.approx(7 * 202)
    judged = plan(trials=1, finals=2, judged_images=500)
    assert judged.final_s == pytest.approx(202 + 5)


def test_disk_holds_all_that_a_run_may_write():
    each = 10_000_000 + 100_000 + 50 * EPOCH_BYTES + TRIAL_BYTES
    found = plan(trials=30, finals=4, judged_images=200)
    search, final = 30 * (each + 30_000_000), 4 * (each + 10_000_000 + 200_000)
    assert found.disk_bytes == search + final + 2 * 30_000_000


def test_memory_of_all_at_once():
    assert plan(cores=3, trials=30).host_bytes == 3 * GIB


def test_too_little_disk(tmp_path):
    found = plan(trials=30)
    check_disk(found.disk_bytes, MadeUpDevices(disk_bytes=found.disk_bytes), tmp_path)
    with pytest.raises(EvolveError, match=r"writes up to 1\.3 GB, and 1\.0 GB are free") as e:
        check_disk(found.disk_bytes, MadeUpDevices(disk_bytes=10**9), tmp_path)
    assert e.value.where == str(tmp_path)
    assert e.value.mend.startswith("free 271 MB more")


def test_json():
    assert plan(trials=3).to_dict()["trials"] == 3


# --- what is left ----------------------------------------------------------------------------


def test_a_plan_of_what_is_left_in_words():
    behind = Behind(ended=16, begun=(6, 0), epochs=300, finals=0)
    found = plan(trials=30, course=course_of("asha", 30, 50), finals=12, behind=behind)
    (line,) = found.lines()
    assert line.startswith(
        "plan   14 of 30 trials left of 50 epochs, at most; rungs at epochs 6, 18; about "
    )
    assert line.split("; ")[-3].endswith("then 20m12s final comparison")
    assert found.search_s < plan(trials=30, course=course_of("asha", 30, 50)).search_s / 2


def test_seconds_and_bytes_of_what_is_left_by_hand():
    behind = Behind(ended=27, begun=(20, 45), epochs=27 * 50 + 65)
    found = plan(trials=30, behind=behind)  # one whole trial, 30 epochs of one, 5 of another
    assert found.trials == 3
    work_s = 3 * 2 + (50 + 30 + 5) * 4
    assert found.device_s == pytest.approx(work_s)
    assert found.search_s == found.search_most_s == pytest.approx(max(202, work_s / 2 + 202 / 4))
    assert found.disk_bytes == plan(trials=3).disk_bytes
    last = plan(trials=30, behind=Behind(ended=29, begun=(45,), epochs=29 * 50 + 45))
    assert last.search_s == last.search_most_s == pytest.approx(2 + 5 * 4)


def test_what_waits_for_promotion_is_no_whole_trial():
    course = course_of("promote", 30, 50, fidelity=0.1, promote=5)
    waiting = Behind(ended=4, begun=(5,) * 26, epochs=4 * 50 + 26 * 5)  # 4 of 8 to go to the end
    found = plan(trials=30, course=course, behind=waiting)
    assert found.device_s == pytest.approx(26 * 2 + 4 * 45 * 4)
    closed = dataclasses.replace(waiting, is_closed=True, begun=(5, 48), ended=10)
    assert plan(trials=30, course=course, behind=closed).device_s == pytest.approx(4 + 14 * 4)


def test_a_closed_search_begins_no_more():
    behind = Behind(ended=10, begun=(40,), epochs=540, is_closed=True)
    found = plan(trials=30, finals=12, behind=behind)
    assert found.trials == 1
    assert found.device_s == pytest.approx(2 + 10 * 4 + 12 * 202)


def test_a_final_comparison_of_which_some_is_done():
    behind = Behind(ended=30, epochs=1500, finals=7)
    (line,) = plan(trials=30, finals=12, behind=behind).lines()
    assert line.startswith(
        "plan   about 10m06s final comparison (5 of 12 trainings left) on 2 at once; "
    )


def test_nothing_is_left():
    behind = Behind(ended=30, epochs=1500, finals=12)
    found = plan(trials=30, finals=12, behind=behind)
    assert found.lines() == ["plan   nothing is left to be trained"]
    assert found.total_s == found.disk_bytes == 0


# --- early stopping --------------------------------------------------------------------------


def simulated(trials, epochs, workers, seed):
    """Epochs a trial of a search without progress, under the scheduler itself."""
    scheduler = build_scheduler("asha", epochs)
    ends = np.random.default_rng(seed).random(trials)
    waiting, running, total = list(range(trials)), {}, 0
    while waiting or running:
        while waiting and len(running) < workers:
            running[waiting[0]] = 0
            scheduler.add(waiting.pop(0))
        for number in list(running):
            running[number] += 1
            total += 1
            epoch = running[number]
            result = {"epoch": epoch, "objective": float(ends[number] * epoch)}
            if epoch == epochs or scheduler.take(number, result) is not Decision.GO:
                del running[number]
    return total / trials


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize(("trials", "epochs"), [(10, 20), (30, 50), (100, 100), (60, 300)])
def test_expected_epochs_are_those_of_the_scheduler(trials, epochs, workers):
    found = np.mean([simulated(trials, epochs, workers, seed) for seed in range(40)])
    assert expected_epochs(trials, epochs, rungs(epochs)) == pytest.approx(found, rel=0.08)


def test_the_spared_run_to_the_end():
    assert expected_epochs(SPARED, 50, rungs(50)) == 50
    assert expected_epochs(1, 50, rungs(50)) == 50


def test_expected_epochs_by_hand():
    # rungs at 2 and 6 of 10; the fourth to come to the first has the chance (3 - 4/3) / 4, and
    # there it meets three, two of which should not have come: (m - p) / (m + 1 - 2)
    first = 3 + 5 / 12
    second = 3 + 5 / 12 * min(1, (3 - 4 / 3) / 2)
    expected = (4 * 2 + first * 4 + second * 4) / 4
    assert expected_epochs(4, 10, (2, 6)) == pytest.approx(expected)


def test_a_third_goes_on_in_a_long_search():
    assert expected_epochs(100_000, 100, (10, 20)) == pytest.approx(10 + 90 / 3, rel=0.01)


@given(st.integers(1, 300), st.integers(1, 300))
def test_expected_epochs_are_between_the_first_rung_and_all(trials, epochs):
    first, last = rungs(epochs)
    found = expected_epochs(trials, epochs, (first, last))
    assert min(first, epochs) <= found <= epochs + 1e-9
    assert found <= expected_epochs(max(1, trials // 2), epochs, (first, last)) + 1e-9


# --- other schedulers ------------------------------------------------------------------------


def finished_alone(name, trials, epochs, **setting):
    """Epochs a trial under the scheduler itself, a trial at a time."""
    scheduler = build_scheduler(name, epochs, Setting(epochs=epochs, trials=trials, **setting))
    values = np.random.default_rng(0).random(trials)
    reached, asked, total = {}, 0, 0
    while True:
        number = scheduler.choose()
        if number is None and asked < trials:
            number, asked = asked, asked + 1
            scheduler.add(number)
        elif number is None:
            scheduler.close()
            number = scheduler.choose()
            if number is None:
                return total / trials
        epoch = reached.get(number, 0)
        while epoch < epochs:
            epoch += 1
            total += 1
            reached[number] = epoch
            result = {"epoch": epoch, "objective": float(values[number] * epoch)}
            if scheduler.take(number, result) is not Decision.GO:
                break
        else:
            scheduler.end(number, {"epoch": epoch, "objective": float(values[number] * epoch)})


@pytest.mark.parametrize(("trials", "epochs"), [(9, 9), (22, 9), (49, 27), (4, 50), (60, 50)])
def test_brackets_are_those_of_hyperband(trials, epochs):
    found = course_of("hyperband", trials, epochs).epochs
    assert found == pytest.approx(finished_alone("hyperband", trials, epochs), rel=0.1)


def test_promotion_by_hand():
    course = course_of("promote", 30, 50, fidelity=0.1, promote=5)
    stops = "all to epoch 5, 8 of them to the end"
    assert course == Course((30 * 5 + 8 * 45) / 30, stops, is_sure=True)
    assert course_of("promote", 3, 50).epochs == 50


def test_what_stops_nothing():
    assert course_of("none", 30, 50) == course_of("pbt", 30, 50) == Course(50.0)
    assert course_of("median", 30, 50).stops == "the worse half may stop from epoch 6 on"
