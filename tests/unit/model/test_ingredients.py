"""Every entry of the catalogue keeps its promises."""

import dataclasses

import pytest

from evolve.testing import ingredients as contract
from model.checkpoint import load_checkpoint, save_checkpoint
from model.classify import fit_classifier
from model.config import TrainConfig, key_paths
from model.data.classes import ClassSample, crops_of
from model.data.coco import load_dataset
from model.ingredient import InferenceCost, Ingredient, Setting, catalogue
from model.train import fit
from tests.tiny_data import write_tiny_coco

ENTRIES = catalogue()
USABLE = [key for key, entry in ENTRIES.items() if not entry.not_offered]
BY_TASK = [(key, task) for key in USABLE for task in ENTRIES[key].tasks]
CHANGING = [(key, task) for key, task in BY_TASK if not ENTRIES[key].is_default]

# Table 4, table 5 and table 2 of arXiv:2004.10934, and its sections 2 and 3.
NAMED_BY_THE_PAPER = {
    *("S", "M", "IT", "GA", "LS", "CBN", "CA", "DM", "OA", "MSE", "GIoU", "DIoU", "CIoU"),
    *("RFB", "SAM", "G", "ASFF", "SPP", "PAN", "BiFPN", "MiWRC", "CSP"),
    *("MixUp", "CutMix", "Blur", "Swish", "Mish", "SAT", "KD", "Focal", "OHEM", "CutOut"),
    *("DropOut", "SpatialDropOut", "DropBlock", "DropPath", "DropConnect", "SE", "DIoU-NMS"),
    *("Soft-NMS", "FRN", "CGBN", "StyleTransfer", "GridMask", "Brightness", "Contrast", "Noise"),
}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(write_tiny_coco(tmp_path_factory.mktemp("tiny") / "set"))


@pytest.fixture(scope="module")
def pictures(dataset):
    """The same pictures for a classifier; their boxes alone would be of one colour each."""
    splits = {
        name: tuple(ClassSample(record, int(record.labels[0])) for record in records)
        for name, records in dataset.splits.items()
    }
    return dataclasses.replace(crops_of(dataset), splits=splits)


@pytest.fixture(scope="module")
def steps(dataset, pictures):
    return {
        "detect": contract.detector_step(dataset),
        "classify": contract.classifier_step(pictures),
    }


@pytest.fixture(scope="module")
def values(dataset, pictures, tmp_path_factory):
    """What ingredients of a task need: a teacher, of one epoch."""
    folder = tmp_path_factory.mktemp("teachers")
    start = contract.step_baseline()
    next(fit(start, dataset, device="cpu")).save_weights(folder / "detector.pt")
    _see_everything(folder / "detector.pt", 3 * (5 + len(dataset.classes)))
    start = contract.step_baseline("classify")
    next(fit_classifier(start, pictures, device="cpu")).save_weights(folder / "classifier.pt")
    return {
        "detect": {"KD": {"distill.teacher": str(folder / "detector.pt")}},
        "classify": {"KD": {"distill.teacher": str(folder / "classifier.pt")}},
    }


def _see_everything(path, outputs):
    """Let a stored detector see objects of all classes everywhere."""
    state = load_checkpoint(path)
    biases = [
        value
        for name, value in state["weights"].items()
        if name.startswith("head.") and value.shape == (outputs,)
    ]
    for bias in biases:
        bias.view(3, -1)[:, 4:] = 3.0
    assert len(biases) == 3
    save_checkpoint(path, state)


def test_catalogue():
    contract.check_catalogue()
    assert ENTRIES.keys() >= NAMED_BY_THE_PAPER


@pytest.mark.parametrize("key", ENTRIES)
def test_entry(key):
    contract.check_entry(ENTRIES[key])


@pytest.mark.parametrize(("key", "task"), BY_TASK)
def test_baseline_has_it_as_it_says(key, task):
    contract.check_baseline(ENTRIES[key], task)


@pytest.mark.parametrize(("key", "task"), CHANGING)
def test_on_and_off_again_is_the_baseline(key, task):
    contract.check_round_trip(ENTRIES[key], task, {"KD": {"distill.teacher": "best.pt"}})


@pytest.mark.parametrize("key", ENTRIES)
def test_inference_cost_is_exact(key):
    contract.check_cost(ENTRIES[key])


def test_costs_of_the_paper_and_the_facts():
    assert ENTRIES["SAM"].cost.parameters == 1_379_840
    assert ENTRIES["SPP"].cost.parameters == 1024 * 512 + 512 * 512  # 2048 -> 512 for 512 -> 512


@pytest.mark.slow
@pytest.mark.parametrize(("key", "task"), BY_TASK)
def test_first_updates(key, task, steps, values):
    contract.check_step(ENTRIES[key], steps[task], task, values[task])


@pytest.mark.slow
def test_the_same_update_twice_is_the_same_bit_for_bit(dataset):
    config = contract.step_baseline()
    first, second = (contract.detector_step(dataset)(config, 1) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("changes", "promise"),
    [
        ({"source": ""}, "names no source"),
        ({"sets": ()}, "sets nothing"),
        ({"sets": (Setting("loss.bxo", "ciou", "mse"),)}, "unknown"),
        ({"sets": (Setting("loss.box", None, "mse"),)}, "what it needs"),
        ({"sets": (Setting("loss.box", "mse", "mse"),)}, "it is off, and yet"),
        ({"sets": (Setting("loss.box", "iou", "mse"),) * 2}, "a slot twice"),
    ],
)
def test_broken_entries_are_found(changes, promise):
    plain = {
        "key": "X", "title": "x", "family": "loss", "source": "arXiv:1911.08287 sec. 3.3",
        "sets": (Setting("loss.box", "ciou", "mse"),),
    }  # fmt: skip
    contract.check_entry(Ingredient(**plain))
    with pytest.raises(AssertionError, match=promise):
        contract.check_entry(Ingredient(**plain | changes))


def test_wrong_costs_are_found():
    wrong = dataclasses.replace(ENTRIES["ASFF"], cost=InferenceCost(2_708_186, 2.949896352))
    with pytest.raises(AssertionError):
        contract.check_cost(wrong)
    with pytest.raises(AssertionError):
        contract.check_cost(dataclasses.replace(ENTRIES["M"], cost=InferenceCost(1)))


def test_an_off_that_is_not_the_baselines_is_found():
    wrong = dataclasses.replace(ENTRIES["LS"], sets=(Setting("loss.label_smoothing", 0.1, 0.01),))
    with pytest.raises(AssertionError, match=r"loss\.label_smoothing is not off"):
        contract.check_baseline(wrong, "detect")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "acts", "promise"), [("LS", "inference", "changes the training"),
                                 ("CA", "step", "changes nothing in the first update")]
)  # fmt: skip
def test_wrong_moments_are_found(key, acts, promise, steps):
    with pytest.raises(AssertionError, match=promise):
        contract.check_step(dataclasses.replace(ENTRIES[key], acts=acts), steps["detect"])


def test_every_section_of_a_freebie_has_an_ingredient():
    """A slot that no ingredient sets cannot be ablated; these are no freebies."""
    set_by = {setting.slot for entry in ENTRIES.values() for setting in entry.sets}
    sections = {path.split(".")[0] for path in key_paths(TrainConfig()) if "." in path}
    assert sections - {slot.split(".")[0] for slot in set_by} == {"data"}
