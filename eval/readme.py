"""Writes the tables of README.md from the results files.

    python -m lcpfn.eval.readme

A table stands between `<!-- results: NAME -->` and `<!-- end -->` and is made from
`eval/results/NAME.json`, so no number in it was typed.
"""

import json
import re
from pathlib import Path

from lcpfn.eval import bench, prior_score

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "eval" / "results"
TABLES = {"domhan": prior_score.to_markdown, "bench": bench.to_markdown}
BLOCK = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """The text with every table made anew."""

    def table(match: re.Match) -> str:
        name = match[2]
        results = json.loads((RESULTS / f"{name}.json").read_text())
        return f"{match[1]}{TABLES[name](results)}\n{match[3]}"

    return BLOCK.sub(table, text)


if __name__ == "__main__":
    README.write_text(filled(README.read_text()))
