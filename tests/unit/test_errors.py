"""Every error of ours says how to mend it."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAMILY = {
    *("EvolveError", "SpaceError", "TableError", "StoreError", "RunError", "WriteError"),
    *("CardError", "ReportError", "TrialError", "DataError", "ConfigurationError"),
    "CheckpointError",
}
# what others have said is passed on, or nobody but us can meet it
PASSED_ON = {
    ("evolve/cost_process.py", 'answer["failure"]'),
    ("evolve/engine/probe.py", 'f"{type(error).__name__}: {first_line}"'),
    ("evolve/engine/trial.py", 'f"{type(error).__name__}: {error}"'),
    ("evolve/space/space.py", 'detail["msg"]'),
    ("evolve/testing/curves.py", '"this checkpoint belongs to another configuration"'),
    ("evolve/testing/curves.py", '"this is not a curve\'s checkpoint"'),
    ("reports/examples.py", "example.why_not"),
    ("model/darknet_cfg/write.py", 'f"the network has {len(detector.geometry.anchors_wh_px)}'),
    ("model/data/workers.py", 'f"{type(error).__name__}: {error}"'),
    ("model/recipes.py", "f\"{len(faults)} faults in the recipe{''.join(listed)}\""),
}


def _without_mend(path):
    """What each error in a file says that has no mend."""
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        told = len(node.args) + sum(one.arg in {"where", "mend"} for one in node.keywords)
        keeps = any(one.arg == "mend" for one in node.keywords)
        starred = any(isinstance(one, ast.Starred) for one in node.args)
        if node.func.id in FAMILY and told < 3 and not keeps and not starred:
            yield ast.get_source_segment(text, node.args[0]) or ""


def test_every_error_has_a_mend():
    found = [
        (path.relative_to(ROOT).as_posix(), said)
        for package in ("evolve", "model", "reports")
        for path in sorted((ROOT / package).rglob("*.py"))
        for said in _without_mend(path)
    ]
    known = [
        (file, said)
        for file, said in found
        if any(file == place and said.startswith(start) for place, start in PASSED_ON)
    ]
    assert [one for one in found if one not in known] == []
    assert {one[0] for one in known} == {path for path, _ in PASSED_ON}
