"""Pictures of `lcpfn watch` in docs/figures: python -m docs.screenshots.

Of a search over small neural networks on scikit-learn's digits, caught half-way.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from lcpfn.cli.board import add_board, look, open_board
from lcpfn.watch.web.data import snapshot
from lcpfn.watch.web.page import still_page
from tests.browser.chromium import browser, prefer, resize

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
HORIZON = 60
# Learning rate, hidden units, and after how many epochs the search is caught.
RUNS = (
    *((0.003, 16, 60), (0.01, 16, 60), (0.03, 16, 60), (0.1, 16, 23), (1.0, 16, 31)),
    *((0.003, 64, 34), (0.01, 64, 44), (0.03, 64, 19), (0.1, 64, 27), (1.0, 64, 12)),
    *((0.003, 256, 21), (0.01, 256, 9), (0.03, 256, 15), (0.1, 256, 7), (3.0, 256, 9)),
)


def train(folder: Path) -> None:
    """Trains the networks and logs them, one CSV each."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16, y, test_size=0.3, random_state=0)
    for rate, width, epochs in RUNS:
        lines = ["epoch,val_accuracy"]
        net = MLPClassifier(
            width, solver="sgd", learning_rate_init=rate, random_state=0
        )
        for epoch in range(1, epochs + 1):
            net.partial_fit(parts[0], parts[2], classes=np.unique(y))
            score = net.score(parts[1], parts[3])
            lines.append(f"{epoch},{score:.5f}")
        path = folder / f"lr{rate:g}-width{width}.csv"
        path.write_text("\n".join(lines) + "\n")


def terminal(board: Any) -> str:
    """The table of `lcpfn watch` as SVG."""
    from rich.console import Console

    from lcpfn.watch import text

    with open("/dev/null", "w") as nowhere:
        console = Console(record=True, width=150, file=nowhere, force_terminal=True)
        console.print(text.table(board.rows(), HORIZON, {}, 40))
    return console.export_svg(title="lcpfn watch runs/ --horizon 60 --mode max")


def main() -> None:
    """Takes all pictures."""
    import argparse

    parser = argparse.ArgumentParser()
    add_board(parser)
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder))
        options = ["--horizon", str(HORIZON), "--mode", "max", "--bounds", "0", "1"]
        source, board = open_board(parser.parse_args([folder, *options]))
        look(source, board)
        page, svg = Path(folder) / "page.html", Path(folder) / "terminal.svg"
        page.write_text(still_page(snapshot(board, "runs/", {}, {})))
        svg.write_text(terminal(board))
        with browser() as driver:
            take(driver, svg.as_uri(), "watch", (1850, 520), "svg")
            for name, scheme, size in (
                ("page-light", "light", (1280, 860)),
                ("page-dark", "dark", (1280, 860)),
                ("page-narrow", "light", (375, 1000)),
            ):
                prefer(driver, color_scheme=scheme)
                take(driver, page.as_uri(), name, size)


def take(
    driver: Any, address: str, name: str, size: tuple[int, int], part: str = ""
) -> None:
    """Writes a picture of a page, or of one of its elements."""
    resize(driver, *size)
    driver.get(address)
    time.sleep(0.5)
    path = str(FIGURES / f"{name}.png")
    if part:
        driver.find_element("css selector", part).screenshot(path)
    else:
        driver.save_screenshot(path)
    sys.stderr.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
