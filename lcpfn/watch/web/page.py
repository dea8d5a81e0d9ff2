"""The page as one HTML file: markup, style, script and charting library inside it.

A browser may run and fetch nothing else: the page's content security policy names the
script and the style by their hashes and, if it is served, the server it came from.
"""

import base64
import hashlib
import html
import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

SCRIPTS = (
    "uplot/uPlot.iife.min.js",
    *("charts.js", "fan.js", "all.js", "table.js", "page.js"),
)
STYLES = ("uplot/uPlot.min.css", "page.css")


@cache
def _asset(*names: str) -> str:
    folder = files("lcpfn.watch.web")
    return "\n".join(folder.joinpath(name).read_text("utf-8") for name in names)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def policy(live: bool) -> str:
    """The content security policy of the page.

    Args:
        live: whether it may ask its server for news.
    """
    source = "'self'" if live else "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(_asset(*SCRIPTS))}",
            f"style-src {_hash(_asset(*STYLES))}",
            "img-src data:",
            f"connect-src {source}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def live_page(every: float) -> str:
    """The page that asks its server for news.

    Args:
        every: seconds between two questions.
    """
    return _page({"every": every}, live=True)


def still_page(snapshot: dict[str, Any]) -> str:
    """The page of one moment, which needs no server.

    Args:
        snapshot: as of `lcpfn.watch.web.data`.
    """
    return _page({"snapshot": snapshot}, live=False)


def _page(content: dict[str, Any], live: bool) -> str:
    # No name of a run can end the element that it stands in.
    data = json.dumps(content, allow_nan=False).replace("<", "\\u003c")
    parts = {
        "policy": html.escape(policy(live)),
        "style": _asset(*STYLES),
        "script": _asset(*SCRIPTS),
        "data": data,
    }
    template = _asset("page.html")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)
