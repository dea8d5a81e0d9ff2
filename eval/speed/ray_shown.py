"""The table of what `in_ray` has measured, which needs no Ray."""

from collections.abc import Mapping
from typing import Any

from lcpfn.eval.tables import columns_table


def to_markdown(results: Mapping[str, Any]) -> str:
    """A line per scheduler."""
    trials = results["trials"]
    columns = {
        "results": "{results}",
        "best value missed by": "{missed:.4f}",
        "s": "{seconds:.0f}",
        "trials per s": "{trials_per_s:.1f}",
        "results per s": "{results_per_s:.0f}",
        "s in the scheduler": "{scheduler_seconds:.1f}",
        "ms a result, first 1,000": "{ms_first:.2f}",
        "last 1,000": "{ms_last:.2f}",
    }
    rows = [
        (
            (name,),
            row
            | {
                "missed": row["possible"] - row["best"],
                "trials_per_s": trials / row["seconds"],
                "results_per_s": row["results"] / row["seconds"],
            },
        )
        for name, row in results["schedulers"].items()
    ]
    return columns_table(("scheduler",), rows, columns)
