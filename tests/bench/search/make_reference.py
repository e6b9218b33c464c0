"""Writes tables/reference.json: the best known and the top-10 % random value of each problem.

    python -m tests.bench.search.make_reference [PATTERN]

Only problems that are new or have changed are searched, a few seconds each.
"""

import fnmatch
import json
import sys

from tests.bench.search.problem import Problem
from tests.bench.search.score import REFERENCES, fingerprint, references, search_reference
from tests.bench.search.suite import problems


def main(pattern: str = "*") -> None:
    """Bring the file up to date."""
    known = json.loads(REFERENCES.read_text()) if REFERENCES.exists() else {}
    present = problems()
    for problem in present:
        if fnmatch.fnmatchcase(problem.name, pattern) and not _fresh(problem):
            found = search_reference(problem)
            known[problem.name] = {
                "best": round(found.best, 6),
                "q90": round(found.good, 6),
                "fingerprint": fingerprint(problem),
            }
            sys.stderr.write(f"{problem.name} {known[problem.name]}\n")
    names = {problem.name for problem in present}
    lines = [f"{json.dumps(n)}: {json.dumps(known[n])}" for n in sorted(known) if n in names]
    REFERENCES.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _fresh(problem: Problem) -> bool:
    try:
        references([problem])
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
