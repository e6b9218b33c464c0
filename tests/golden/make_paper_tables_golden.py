"""Writes paper_tables.json: the paper's tables as they were first transcribed.

    python tests/golden/make_paper_tables_golden.py paper_tables.yaml

The YAML was read from the paper and from the authors' logs before, and apart from,
`search_spaces/paper/`, which has another form.
"""

import json
import sys
from pathlib import Path

import yaml

tables = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))
del tables["meta"]
lines = []
for name, table in tables.items():
    rows = ",\n".join(f"  {json.dumps(row)}" for row in table.pop("rows"))
    lines.append(f'"{name}": {json.dumps(table)[:-1]}, "rows": [\n{rows}]}}')
target = Path(__file__).with_name("paper_tables.json")
target.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
