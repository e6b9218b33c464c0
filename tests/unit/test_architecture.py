"""Imports go one way, and light commands stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# package or module -> what it must not import, at any depth of its own code
FORBIDDEN = {
    "model": ("evolve", "reports", "ray", "optuna", "pydantic_settings"),
    "reports": ("torch", "ray", "evolve.engine", "evolve.cli", "model.train", "model.build"),
    "evolve/space": ("torch", "ray", "evolve.engine", "evolve.store", "evolve.search"),
    "evolve/ablation": ("torch", "ray", "evolve.engine", "evolve.cli", "reports"),
    "evolve/search": ("torch", "ray", "evolve.engine", "evolve.store", "evolve.cli"),
    "evolve/cards": ("torch", "ray", "evolve.engine", "evolve.cli", "reports"),
    "evolve/datasets": ("torch", "ray", "optuna", "evolve.engine", "evolve.cli", "reports"),
    "evolve/analysis": ("torch", "ray", "matplotlib", "evolve.engine", "evolve.cli", "reports"),
    "evolve/findings": ("torch", "ray", "matplotlib", "evolve.engine", "evolve.cli", "reports"),
    "evolve/store": ("ray", "evolve.engine", "evolve.cli", "reports"),
    "evolve/engine": ("evolve.cli", "reports"),
}
RAY_ALLOWED = {
    "evolve/engine/cluster.py",
    "evolve/engine/ray_tune.py",
    *(f"evolve/engine/schedulers/{name}.py" for name in ("__init__", "kinds", "stage")),
}


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def _breaks(name: str, forbidden: str) -> bool:
    return name == forbidden or name.startswith(f"{forbidden}.")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_go_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    faults = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for name in sorted(_imports(path))
        for forbidden in FORBIDDEN[package]
        if _breaks(name, forbidden)
    ]
    assert not faults


def test_ray_is_imported_by_the_engine_alone():
    users = {
        str(path.relative_to(ROOT))
        for package in ("evolve", "model", "reports")
        for path in (ROOT / package).rglob("*.py")
        if any(_breaks(name, "ray") for name in _imports(path))
    }
    assert users == RAY_ALLOWED


LIGHT = {
    ("torch", "ray", "optuna", "pandas", "numpy"): (
        "m.cli.get_help(m.click.Context(m.cli))",
        "import evolve.cli.tables_cmd, evolve.ablation.paper, evolve.ablation.layout",
    ),
    ("torch", "ray", "optuna", "pandas"): (
        "import evolve.cli.run_cmd",
        "import evolve.cli.explain_cmd",
        "import evolve.costs",
        "import evolve.engine.probe, evolve.engine.placement, evolve.engine.plan",
        "m.cli.main(['tables', '--json'], standalone_mode=False)",
        "m.cli.main(['tables', '--show', 'bof', '--rows'], standalone_mode=False)",
    ),
    ("torch", "ray", "optuna"): ("import evolve.space", "import model.data.loader"),
    ("torch", "ray", "pandas", "scipy", "pydantic"): (
        "import evolve.store.status, evolve.cli.progress",
    ),
    ("torch", "ray", "pandas", "scipy"): ("import evolve.store.read",),
    ("torch", "ray", "matplotlib"): (
        "import evolve.findings",
        "import evolve.analysis.words, evolve.analysis.matching",
    ),
    ("torch", "ray"): (
        "import reports.render",
        *(f"with suppress(Exception): m.cli.main(['{verb}', 'nowhere'], standalone_mode=False)"
          for verb in ("report", "status", "export-study")),
    ),
    ("torch",): ("import evolve.runs",),
}  # fmt: skip
"""What must stay unloaded, and what is imported and done without it."""


@pytest.mark.parametrize("absent", LIGHT)
def test_light_parts_do_not_load_heavy_packages(absent):
    code = "import sys, evolve.cli.main as m\nfrom contextlib import suppress\n"
    for part in LIGHT[absent]:
        code += f"{part}\nprint('did', {part!r}, *sys.modules, file=sys.stderr)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("did ")]
    assert len(lines) == len(LIGHT[absent])
    for line in lines:
        assert not set(absent) & set(line.split())
