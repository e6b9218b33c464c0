"""Every command and every piece of Python of README and docs is run, made small.

A line runs as it stands but for `REWRITES`, and with options that make it small (`SMALL`) in place
of those that would make it large (`OVERRULED`). `LEFT_OUT` says what is not run, and why. Whether
all lines, these too, have options that exist is tested in `tests/unit/test_doc_lines.py`. Of the
pages of docs the first line with each command is run in every suite, all of them by
``make thorough``.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.doc_lines import NEW_INGREDIENT, PAGES, ROOT, blocks, shell_lines
from tests.e2e import forked
from tests.thorough import thorough
from tests.tiny_data import write_tiny_coco
from tests.unit.datasets.other_formats import write_voc, write_yolo

pytestmark = pytest.mark.slow

LEFT_OUT = {
    r"^make ": "the tests themselves are run by it; targets are looked up in the Makefile",
    r"^(pip|python -m build|python -m twine|git)\b": "a network; test_package.py builds the wheel",
    r" --mlflow ": "needs an extra; tests/unit/test_tracking.py has a stand-in for it",
    r"^(optuna-dashboard|tensorboard) ": "a server that stays; test_run.py opens one",
    r"^source ": "there is no .venv beside a test",
    r"^ray |--address ": "a cluster; test_cluster.py runs one",
    r" --ga ": "the best of tiny trainings may be the defaults, which a table refuses",
    r"^python -m tests\.bench\.search --samplers ": "takes hours",
}
REWRITES = (
    (r"^evolve ablate (?!.*--seeds)", "evolve ablate --seeds 2 "),
    (r"(trials)/00007/", r"\1/00000/"),  # the small run has three trials
    (r"--trials 30\b", "--trials 4"),
    (r"--(size|max-latency) (416,512,608|8ms)", lambda m: f"--{m[1]} {SIZES[m[2]]}"),
    (r"--table bof (?!.*--plan-only)", "--table two-rows.yaml "),
    (r"^(evolve ablate .*--seeds auto .*)", r"\1 --plan-only"),  # up to 16 seeds otherwise
    (r"--seeds 5\b", "--seeds 3"),
)
SIZES = {"416,512,608": "64,96", "8ms": "60s"}
SETTINGS = " --set epochs=1 --set image_size=64 --set batch_size=4"
SMALL = {
    "run": " --engine inline --no-probe --model yolov4-tiny-nano --trials 2 --confirm 0"
    + SETTINGS,
    "ablate": " --engine inline --no-probe" + SETTINGS,
    "train": SETTINGS + " --threads 1",
    "explain": "",
    "speed": " --no-compile --repeats 20",
    "pareto": " --repeats 20",
}
OVERRULED = {
    "run": r" --(trials|model|budget) \S+| --set (epochs|image_size)=\S+",
    "ablate": r" --(model|epochs|seeds) (?!auto)\S+",
    "train": r" --epochs \S+",
}
"""What `SMALL` says otherwise; without it many lines are the same, and run once."""
TWO_ROWS = """\
title: two rows of the bag of freebies
model: yolov4-tiny-3l-nano
rows:
  - {key: plain}
  - {key: mosaic, ingredients: [M]}
"""
COPIES = {
    "ga-DIR": "ga-digits",
    "ga-mydata": "ga-digits",
    "first": "ga-digits",
    "ga-other": "tpe-digits",
    "second": "tpe-digits",
    "ablate-bof": "bof-DIR",
}
"""Runs that pages name, and which of those that were made they are."""
FILE = r"`(\w+\.yaml)`[^\n`]*:\n+```yaml\n(.*?)```"
"""A file whose name stands in the line before it."""
LINES = [line for page in PAGES for line in shell_lines(page)]
KEPT = [
    line
    for line in LINES
    if line.page != NEW_INGREDIENT  # test_the_new_ingredient_works
    and not any(re.search(pattern, line.text) for pattern in LEFT_OUT)
]


def cases():
    """The lines to be run; README's and the first of each command in every suite."""
    seen = set()
    for line in KEPT:
        program, verb, *more = line.words
        command = (program, verb, more[0] if verb == "data" else "")
        always = line.page == "README.md" or command not in seen
        seen.add(command)
        yield line if always else pytest.param(line, marks=thorough)


def evolve(text, cwd, **environment):
    """Run a command that must succeed."""
    done = forked.run(shlex.split(text)[1:], cwd, **environment)
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give a folder with all that the pages name, really made."""
    home = tmp_path_factory.mktemp("home")
    write_files(home)
    run = "evolve run --space ga.yaml --data DIR" + SMALL["run"]
    run = run.replace("--trials 2 --confirm 0", "--trials 3 --confirm 1x2")
    evolve(f"{run} --out runs/ga-digits", home)
    evolve(f"{run} --out runs/tpe-digits --sampler tpe", home)
    table = "evolve ablate --table two-rows.yaml --data DIR --out runs/bof-DIR"
    evolve(f"{table} --seeds 2" + SMALL["ablate"], home)
    for name, made in COPIES.items():
        shutil.copytree(home / "runs" / made, home / "runs" / name)
    weights = home / "runs/ga-digits/trials/00000/best.pt"
    for name in ("best.pt", "a/best.pt", "b/best.pt"):
        (home / name).parent.mkdir(exist_ok=True)
        shutil.copy(weights, home / name)
    evolve("evolve export --weights best.pt --darknet yolov4.cfg", home)
    shutil.copy(home / "yolov4.cfg", home / "yolov4-custom.cfg")
    shutil.copy(home / "yolov4.names", home / "coco.names")
    evolve("evolve export-study runs/ga-digits --out digits.yaml", home)
    return home


def write_files(home):
    """Data, pictures, and the YAML files of pages that name them."""
    for name in ("DIR", "mydata"):
        write_tiny_coco(home / name, {"train": 8, "val": 4, "test": 4}, seed=3)
    write_voc(home / "DIR", home / "VOCdevkit")
    write_yolo(home / "DIR", home / "yolodata")
    (home / "folder").mkdir()
    shutil.copy(home / "DIR/images/val_1.png", home / "folder/one.png")
    shutil.copy(home / "DIR/images/val_2.png", home / "photo.jpg")
    for name in ("two-rows.yaml", "mine.yaml"):
        (home / name).write_text(TWO_ROWS)
    for page in PAGES:
        for name, text in re.findall(FILE, page.read_text(encoding="utf-8"), re.DOTALL):
            (home / name).write_text(text)


def test_what_is_left_out_is_still_there():
    for pattern in LEFT_OUT:
        assert any(re.search(pattern, line.text) for line in LINES), pattern
    assert len(KEPT) > 70


@pytest.mark.parametrize("line", list(cases()), ids=lambda line: f"{line.page}:{line.number}")
def test_line_runs(line, home):
    text = small(shlex.join(line.words), LINES.index(line))
    if text.startswith("python "):
        run_python(text, ROOT)
    elif is_new(text):
        evolve(text, home)


def small(text, number):
    """The command with less to do."""
    program, verb, *_ = text.split()
    if program == "evolve" and verb in SMALL:
        text = re.sub(OVERRULED.get(verb, "^$"), "", text) + SMALL[verb]
    for pattern, instead in REWRITES:
        text = re.sub(pattern, instead, text)
    makes = verb in ("run", "train", "ablate") and "classify" not in text
    if makes and not {"--out", "--plan-only"} & set(text.split()):
        text += f" --out runs/line-{number}"  # a folder holds one thing
    if verb == "run" and "--data" not in text:
        text += " --data DIR"
    return text


def is_new(text, seen={}):  # noqa: B006
    """Whether none of the lines before was the same, once made small."""
    key = " ".join(sorted(re.sub(r"runs/line-\d+", "", text).split(" --")))
    return seen.setdefault(key, text) is text


def run_python(text, cwd, **environment):
    """Run `python` or `pytest` in a process of its own."""
    words = shlex.split(text)
    words = words if words[0] == "python" else ["python", "-m", *words]
    environment = {**os.environ, "PYTHONPATH": str(cwd), **environment}
    done = subprocess.run([sys.executable, *words[1:]], cwd=cwd, env=environment, timeout=200,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, f"{text}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


REAL = [thorough, pytest.mark.timeout(1800)]  # its runs are real; test_api.py does it on curves
PYTHON = [
    pytest.param(page, marks=REAL if page.name == "python.md" else (), id=page.stem)
    for page in PAGES
    if any(block.language == "python" for block in blocks(page))
]


@pytest.mark.parametrize("page", PYTHON)
def test_python_runs_and_prints_what_stands_below(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names, shown = {"__name__": "page"}, list(blocks(page))
    for block, below in zip(shown, [*shown[1:], None], strict=True):
        if block.language == "python":
            code = compile("\n" * (block.number - 1) + block.text, str(page), "exec")
            exec(code, names)
            printed = capsys.readouterr().out
            if printed and below is not None and below.language == "text":
                assert printed.strip() == below.text.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_scripts_are_bash(page):
    for block in blocks(page):
        if block.language == "bash":
            subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)


def test_the_new_ingredient_works(home, tmp_path):
    """The file of the page about new ingredients, put into a copy of the sources."""
    tree = tmp_path / "tree"
    for name in ("evolve", "model", "reports", "search_spaces", "tests", "docs", "pyproject.toml"):
        tree.mkdir(exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tree / name)
    page = ROOT / "docs" / NEW_INGREDIENT
    source, settings = (b.text for b in blocks(page) if b.language in ("python", "text"))
    (tree / "model/ingredients/solarize.py").write_text(source)
    test = tree / "tests/property/test_effects.py"
    test.write_text(test.read_text().replace("SETTINGS = {\n", "SETTINGS = {\n" + settings))
    for line in shell_lines(page):
        text, cwd = shlex.join(line.words), tree
        if line.words[0] == "evolve":
            text, cwd = f"python -m {text}", home
        run_python(text, cwd, PYTHONPATH=str(tree))
    assert (home / "sheet.png").stat().st_size > 1000
    keys = json.loads((tree / "docs/reference/schemas/schemas/train.schema.json").read_text())
    assert "augment.solarize.least" in keys["properties"]
