"""The page in a real browser: it shows, follows, compares, and trusts no name."""

import contextlib
import http.server
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from lcpfn.watch.web.page import still_page
from lcpfn.watch.web.server import serving
from tests.browser.chromium import browser, console_errors, prefer, resize
from tests.watch.test_web import HOSTILE, write


def a_run(name, rank, verdict="go on", top=0.9, last=12):
    values = [round(top * s / (s + 3), 4) for s in range(1, last + 1)]
    ahead = np.linspace(last, 20, 9)[1:].round(2).tolist()
    goes_on = verdict in ("go on", "stop")
    fan = {
        "steps": ahead,
        "quantiles": [
            [round(values[-1] + d * (s - last) / 80, 4) for s in ahead]
            for d in (-1, -0.5, 0.5, 1, 1.5)
        ],
    }
    return {
        "run": name,
        "rank": rank,
        "steps": list(range(1, last + 1)),
        "values": values,
        "last": last,
        "value": values[-1],
        "best": values[-1],
        "final": values[-1] + 0.05,
        "low": values[-1] - 0.1,
        "high": values[-1] + 0.15,
        "chance": 0.5 / rank if goes_on else None,
        "verdict": verdict,
        "reason": "it may.",
        "saved": 20 - last if verdict == "stop" else 0,
        "fan": fan if goes_on else None,
    }


def a_snapshot(runs, **more):
    return {
        "name": "logs",
        "time": "2026-01-01T12:00:00+00:00",
        "horizon": 20,
        "mode": "max",
        "beat": None,
        "levels": [0.05, 0.25, 0.5, 0.75, 0.95],
        "runs": runs,
        "trouble": {},
    } | more


RUNS = [
    a_run("run 10", 1),
    a_run("run 9", 2, "stop", 0.7),
    a_run(HOSTILE, 3, "finished", 0.6, 20),
    a_run("run 11", 4, "diverged", 0.5, 4),
]


@pytest.fixture(scope="module")
def driver():
    with browser() as driver:
        yield driver


@pytest.fixture
def server(driver):
    with serving("127.0.0.1", 0, 0.2) as server:
        server.publish(a_snapshot(RUNS))
        prefer(driver, color_scheme="light")
        resize(driver, 1280, 900)
        driver.get(server.address)
        until(driver, "return document.querySelectorAll('tbody tr').length", 4)
        console_errors(driver)
        yield server
        assert console_errors(driver) == []
        driver.get("about:blank")


def until(driver, script, wanted, seconds=10):
    deadline, found = time.time() + seconds, None
    while time.time() < deadline:
        found = driver.execute_script(script)
        if found == wanted:
            return
        time.sleep(0.05)
    pytest.fail(f"{script}: wanted {wanted!r}, found {found!r}")


def names(driver):
    return driver.execute_script(
        "return [...document.querySelectorAll('tbody tr:not([hidden]) .run')]"
        ".map(cell => cell.textContent)"
    )


def text(driver, selector):
    return driver.execute_script(
        "return document.querySelector(arguments[0]).textContent", selector
    )


def press(driver, *keys):
    from selenium.webdriver import ActionChains, Keys

    chain = ActionChains(driver)
    for key in keys:
        chain.send_keys(getattr(Keys, key, key))
    chain.perform()


def focus(driver, selector):
    driver.execute_script("document.querySelector(arguments[0]).focus()", selector)


def ink(driver, selector):
    """Share of a chart's pixels that are drawn on."""
    return driver.execute_script(
        """const c = document.querySelector(arguments[0] + ' canvas');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0;
        return n / (d.length / 4)""",
        selector,
    )


def test_it_shows_all_runs(driver, server):
    assert names(driver) == ["run 10", "run 9", HOSTILE, "run 11"]
    assert "4 runs to step 20" in text(driver, "#summary")
    assert "saves 8 of 80 steps (10 %)" in text(driver, "#summary")
    assert "run 10" in text(driver, "#details")
    assert ink(driver, "#fan") > 0.03
    assert ink(driver, "#all") > 0.01
    assert "live" in text(driver, "#state")


def test_names_are_text(driver, server):
    count = "return document.querySelectorAll('tbody img, #details img').length"
    assert driver.execute_script(count) == 0
    driver.execute_script("document.querySelectorAll('tbody .run button')[2].click()")
    assert HOSTILE in text(driver, "#details")
    assert driver.execute_script(count) == 0


def test_it_follows_the_news(driver, server):
    grown = a_run("run 10", 1, last=13)
    server.publish(a_snapshot([grown, *RUNS[1:], a_run("new", 5, top=0.4)]))
    until(driver, "return document.querySelectorAll('tbody tr').length", 5)
    cell = "return document.querySelector('tbody .last').textContent"
    until(driver, cell, "13")
    server.publish(a_snapshot(RUNS[1:], trouble={"odd.csv": "1 lines are no records"}))
    until(driver, "return document.querySelectorAll('tbody tr').length", 3)
    assert "odd.csv" in text(driver, "#trouble")
    server.publish(a_snapshot([]))
    until(
        driver,
        "return document.querySelector('#summary').textContent",
        "no records yet",
    )


def test_columns_sort_by_keyboard(driver, server):
    focus(driver, "th.run button")
    press(driver, "ENTER")
    assert names(driver)[1:] == ["run 9", "run 10", "run 11"]
    press(driver, "ENTER")
    assert names(driver)[:3] == ["run 11", "run 10", "run 9"]
    assert driver.execute_script(
        "return [...document.querySelectorAll('th[aria-sort]')].map(x => x.ariaSort)"
    ) == ["descending"]
    # A look at the logs leaves order and focus as they are.
    server.publish(a_snapshot([a_run("run 10", 1, last=14), *RUNS[1:]]))
    until(
        driver,
        "return [...document.querySelectorAll('tbody .last')][1].textContent",
        "14",
    )
    assert names(driver)[:3] == ["run 11", "run 10", "run 9"]
    assert driver.execute_script("return document.activeElement.textContent") == "run"


def test_runs_are_chosen_by_keyboard(driver, server):
    focus(driver, "tbody .run button")
    press(driver, "ARROW_DOWN", "ENTER")
    assert text(driver, "#details h3") == "run 9"
    assert "Stopping now saves 8 steps" in text(driver, "#details")
    assert "it may." in text(driver, "#details")
    assert ".." not in text(driver, "#details")
    focus(driver, "tbody input")
    press(driver, "SPACE")
    chosen = "return document.querySelectorAll('#details h3').length"
    assert driver.execute_script(chosen) == 2
    press(driver, "SPACE")
    assert driver.execute_script(chosen) == 1


def test_values_under_the_pointer_and_by_arrow_keys(driver, server):
    from selenium.webdriver import ActionChains

    over = driver.find_element("css selector", "#fan .u-over")
    ActionChains(driver).move_to_element_with_offset(
        over, over.size["width"] // 2 - 4, 0
    ).perform()
    assert "step 20" in text(driver, "#fan .tip")
    assert "90 %: 0.62 to 0.87" in text(driver, "#fan .tip")
    focus(driver, "#fan")
    press(driver, "HOME")
    assert text(driver, "#spoken") == "step 1, observed 0.225"
    press(driver, "END")
    assert "median 0.77" in text(driver, "#spoken")
    press(driver, "ARROW_LEFT")
    assert "step 19" in text(driver, "#spoken")
    press(driver, "ESCAPE")
    assert driver.execute_script("return document.querySelector('#fan .tip').hidden")


def test_a_click_on_a_curve_chooses_it(driver, server):
    from selenium.webdriver import ActionChains

    spot = driver.execute_script(
        "const p = allChart.plot; return [p.valToPos(12, 'x'), p.valToPos(.56, 'y'),"
        " p.over.clientWidth, p.over.clientHeight]"
    )
    over = driver.find_element("css selector", "#all .u-over")
    at = (round(spot[0] - spot[2] / 2), round(spot[1] - spot[3] / 2))
    ActionChains(driver).move_to_element_with_offset(over, *at).click().perform()
    assert text(driver, "#details h3") == "run 9"


def test_search_and_filters(driver, server):
    focus(driver, "#search")
    press(driver, "1", "1")
    assert names(driver) == ["run 11"]
    press(driver, "x")
    assert "No run fits" in text(driver, "#none")
    press(driver, "BACKSPACE", "BACKSPACE", "BACKSPACE")
    filters = driver.find_elements("css selector", "#filters button")
    assert [f.text for f in filters] == [
        *("all 4", "go on 1", "stop 1", "diverged 1", "finished 1")
    ]
    filters[2].click()
    assert names(driver) == ["run 9"]


def luminance(driver):
    return driver.execute_script(
        "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g)"
        ".reduce((a, b) => a + +b, 0)"
    )


def test_light_and_dark(driver, server):
    assert luminance(driver) > 700
    before = driver.execute_script(
        "return document.querySelector('canvas').toDataURL()"
    )
    prefer(driver, color_scheme="dark")
    assert luminance(driver) < 100
    # The charts are drawn again when the browser says so, which may be a little later.
    driver.execute_script("window.before = arguments[0]", before)
    until(
        driver,
        "return document.querySelector('canvas').toDataURL() !== window.before",
        True,
    )


def test_on_a_phone(driver, server):
    resize(driver, 375, 700)
    wide = "return document.documentElement.scrollWidth"
    until(driver, wide, 375)
    for part in ("#fan canvas", "#scroll", ".decision, .verdict", "#search"):
        box = driver.execute_script(
            "const r = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [r.left, r.right]",
            part,
        )
        assert 0 <= box[0] < box[1] <= 375, part


def test_it_says_so_when_nobody_answers(driver):
    with serving("127.0.0.1", 0, 0.2) as server:
        server.publish(a_snapshot(RUNS))
        driver.get(server.address)
        until(driver, "return document.querySelector('#state').className", "live")
    until(driver, "return document.querySelector('#state').className", "lost")
    assert names(driver)[0] == "run 10"
    driver.get("about:blank")
    console_errors(driver)


def test_another_site_cannot_read_it(driver, server):
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()

        def log_message(self, *args):
            pass

    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    with contextlib.closing(other.socket):
        driver.get(f"http://localhost:{other.server_port}/")
        read = (
            "const done = arguments[1]; fetch(arguments[0] + 'data.json', {mode})"
            ".then(x => x.text()).then(x => done('read ' + x), x => done('refused'))"
        )
        for mode in ("cors", "no-cors"):
            script = read.replace("{mode}", f"{{mode: '{mode}'}}")
            found = driver.execute_async_script(script, server.address)
            assert found in ("refused", "read ")
        framed = driver.execute_async_script(
            "const [address, done] = arguments, f = document.createElement('iframe');"
            "f.src = address; f.onload = () => done(f.contentDocument === null);"
            "document.body.append(f)",
            server.address,
        )
        assert framed
        other.shutdown()
    assert console_errors(driver)  # refusals are said


def test_three_hundred_runs(driver, server):
    rng = np.random.default_rng(0)
    runs = [
        a_run(f"run {i}", i + 1, "stop" if i % 3 else "go on", 0.2 + 0.7 * rng.random())
        for i in range(300)
    ]
    server.publish(a_snapshot(runs))
    until(driver, "return document.querySelectorAll('tbody tr').length", 300)
    took = driver.execute_script(
        "const t = performance.now(); show(shown); document.body.offsetHeight;"
        "table.sort = {key: 'final', down: true}; table.arrange();"
        "document.body.offsetHeight; return performance.now() - t"
    )
    assert took < 2000
    assert ink(driver, "#all") > 0.1


def test_a_report_needs_no_server(driver, tmp_path):
    out = tmp_path / "report.html"
    out.write_text(still_page(a_snapshot(RUNS)))
    driver.get(out.as_uri())
    assert names(driver) == ["run 10", "run 9", HOSTILE, "run 11"]
    assert ink(driver, "#fan") > 0.03
    assert "written" in text(driver, "#state")
    assert (
        driver.execute_script("return performance.getEntriesByType('resource')") == []
    )
    assert console_errors(driver) == []


def test_watching_logs_that_grow(driver, tmp_path):
    from tests.watch.test_web import records

    write(tmp_path / "a.csv", records("", 0.9, 5))
    options = ["--horizon", "20", "--mode", "max", "--web", "0", "--every", "0.2"]
    # A shell's background jobs ignore Ctrl-C, and so would what they start.
    start = (
        "import signal, sys; from lcpfn.__main__ import main;"
        "signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(main())"
    )
    command = [sys.executable, "-c", start, "watch", str(tmp_path), *options]
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        stack.callback(process.kill)
        driver.get(process.stdout.readline().strip())
        last = "return document.querySelector('tbody .last')?.textContent"
        until(driver, last, "5", 60)
        write(tmp_path / "a.csv", records("", 0.9, 9))
        write(tmp_path / "b.csv", records("", 0.2, 9))
        until(driver, last, "9", 60)
        until(driver, "return document.querySelectorAll('tbody tr').length", 2)
        assert console_errors(driver) == []
        driver.get("about:blank")
        process.send_signal(2)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""
