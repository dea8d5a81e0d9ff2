"""A headless Chromium for tests of pages: Debian's, never one that is downloaded.

Use it as in

    with browser() as driver:
        driver.get(address)
        assert console_errors(driver) == []
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@contextmanager
def browser(width: int = 1280, height: int = 900) -> Iterator:
    """A fresh browser with a fresh profile; skips the test where there is none.

    Args:
        width, height: of the page in CSS pixels; phones are narrower than a window
            of Chromium can be, so they are emulated.
    """
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        missing = "needs chromium and chromedriver: apt-get install chromium-driver"
        if os.environ.get("LCPFN_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        service = webdriver.ChromeService(executable_path=chromedriver)
        driver = webdriver.Chrome(options=options, service=service)
        try:
            resize(driver, width, height)
            yield driver
        finally:
            driver.quit()


def resize(driver, width: int, height: int, scale: float = 1) -> None:
    """Lays the page out at a size; `scale` pixels of the screen for one of CSS."""
    metrics = {
        "width": width,
        "height": height,
        "deviceScaleFactor": scale,
        "mobile": width < 500,
    }
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def prefer(driver, **features: str) -> None:
    """What the user prefers: `prefer(driver, color_scheme="dark")`."""
    wanted = [
        {"name": f"prefers-{name.replace('_', '-')}", "value": value}
        for name, value in features.items()
    ]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})


def console_errors(driver) -> list[str]:
    """Errors that the console has got since the last call; the browser forgets them."""
    return [e["message"] for e in driver.get_log("browser") if e["level"] == "SEVERE"]
