"""The page of `lcpfn watch --web` and `lcpfn report`: what is sent, and to whom."""

import http.client
import io
import json
import re
import socket
import struct
import sys
import time

import numpy as np
import pytest

from lcpfn.__main__ import main
from lcpfn.cli.watch import port
from lcpfn.io.follow import Observation
from lcpfn.stopping.rule import Rule
from lcpfn.watch.board import POINTS, Board
from lcpfn.watch.outlook import LEVELS
from lcpfn.watch.web.data import MOST, snapshot, thinned
from lcpfn.watch.web.page import live_page, policy, still_page
from lcpfn.watch.web.server import HEADERS, serving

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
OPTIONS = ["--horizon", "20", "--mode", "max", "--bounds", "0", "1"]


def records(run, top, count=12, pace=3.0):
    steps = np.arange(1.0, count + 1)
    return [Observation(run, s, top * s / (s + pace)) for s in steps.tolist()]


@pytest.fixture(scope="module")
def board():
    board = Board(Rule(horizon=80, mode="max", bounds=(0, 1)))
    board.take(records("good", 0.9) + records(HOSTILE, 0.3, 70))
    board.take([*records("lost", 0.5, 5), Observation("lost", 6, np.nan)])
    board.take(records("done", 0.8, 80))
    return board


@pytest.fixture
def server():
    with serving("127.0.0.1", 0, 2.0) as server:
        yield server


def ask(server, path="/", method="GET", **headers):
    """Status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        if value is not None:
            connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_a_snapshot_is_what_the_board_knows(board):
    found = snapshot(board, "logs", {"a": "trouble"}, {})
    json.dumps(found, allow_nan=False)
    runs = {run["run"]: run for run in found["runs"]}
    rows = {row.run: row for row in board.rows()}
    assert list(runs) == list(rows)
    for name, run in runs.items():
        assert run["verdict"] == rows[name].verdict
        assert run["final"] == pytest.approx(rows[name].final, rel=1e-5)
        assert run["steps"][-1] == rows[name].last
        assert len(run["steps"]) == len(run["values"]) <= MOST
    assert runs["lost"]["fan"] is None is runs["done"]["fan"]
    assert runs["lost"]["value"] is None
    fan = runs["good"]["fan"]
    assert len(fan["steps"]) == POINTS
    assert fan["steps"][-1] == 80
    assert np.shape(fan["quantiles"]) == (len(LEVELS), POINTS)
    # The fan ends where the interval of the final value lies.
    ends = [row[-1] for row in fan["quantiles"]]
    assert ends == sorted(ends)
    assert ends[0] == pytest.approx(runs["good"]["low"], rel=1e-4)
    assert ends[-1] == pytest.approx(runs["good"]["high"], rel=1e-4)


def test_runs_are_forecast_anew_where_there_is_news():
    board = Board(Rule(horizon=20, mode="max", bounds=(0, 1)), alone=True)
    board.take(records("a", 0.9, 5) + records("b", 0.5, 5))
    before = dict(board.outlooks)
    board.take([Observation("a", 6.0, 0.1), Observation("b", 5.0, 0.5 * 5 / 8)])
    after = board.outlooks
    assert after["b"] is before["b"]
    assert after["a"].steps[0] == 7
    assert after["a"].quantiles != before["a"].quantiles


def test_thinned_keeps_both_ends():
    assert thinned(range(64)) == list(range(64))
    kept = thinned(np.arange(1000) ** 2)
    assert (kept[0], kept[-1]) == (0, 999)
    assert len(kept) <= MOST


def test_runs_that_ended_are_not_judged(board):
    rows = {row.run: row for row in board.rows({HOSTILE: "pruned"})}
    assert rows[HOSTILE].verdict == "finished"
    assert rows[HOSTILE].reason.startswith("pruned at 0.28")
    assert rows[HOSTILE].saved == 0


def test_the_page_holds_all_it_needs():
    page = live_page(2.0)
    assert "uPlot" in page
    assert "{{" not in page
    assert not re.search(r"(src|href)=[\"'](?!data:)", page)
    fetched = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", page)
    assert {x for x in fetched if "w3.org" not in x and "github.com" not in x} == set()


def test_names_of_runs_stay_text(board):
    page = still_page(snapshot(board, HOSTILE, {HOSTILE: HOSTILE}, {}))
    assert page.count("</script>") == live_page(2).count("</script>")
    assert "<img" not in page
    embedded = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1]
    found = json.loads(embedded)["snapshot"]
    assert HOSTILE in [run["run"] for run in found["runs"]]


def test_the_served_page_and_its_headers(server, board):
    status, headers, body = ask(server)
    assert status == 200
    assert body == live_page(2.0).encode()
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert policy(live=True) in headers["Content-Security-Policy"]
    assert "Python" not in headers["Server"]
    assert ask(server, method="HEAD")[2] == b""
    assert ask(server, method="HEAD")[1]["Content-Length"] == str(len(body))

    server.publish(snapshot(board, "logs", {}, {}))
    status, headers, body = ask(server, "/data.json?x=1")
    assert status == 200
    assert json.loads(body)["horizon"] == 80
    # The same news at another time are no news.
    server.publish(snapshot(board, "logs", {}, {}) | {"time": "later"})
    again = ask(server, "/data.json", If_None_Match=headers["ETag"])
    assert (again[0], again[2]) == (304, b"")
    server.publish(snapshot(board, "logs", {"a": "b"}, {}))
    assert ask(server, "/data.json", If_None_Match=headers["ETag"])[0] == 200


@pytest.mark.parametrize("path", ["/../etc/passwd", "/page.js", "/data.json/", "/a"])
def test_there_is_nothing_else(server, path):
    assert ask(server, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_it_only_reads(server, method):
    status, headers, _ = ask(server, "/data.json", method)
    assert status == 405
    assert headers["Allow"] == "GET, HEAD"


def test_other_hosts_are_refused(server):
    number = server.server_port
    for host in (f"localhost:{number}", f"127.0.0.1:{number}", f"[::1]:{number}"):
        assert ask(server, "/data.json", Host=host)[0] == 200
        same = {"Host": host, "Origin": f"http://{host}"}
        assert ask(server, "/data.json", **same)[0] == 200
    wrong = [
        "evil.example",
        f"evil.example:{number}",
        "localhost",
        f"a@localhost:{number}",
    ]
    for host in (*wrong, f"127.0.0.1.evil.example:{number}", "localhost:1", "[", None):
        status, _, body = ask(server, "/data.json", Host=host)
        assert status == 403
        assert b"runs" not in body
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{number}"):
        assert ask(server, "/", Origin=origin)[0] == 403


def spoken(server, request):
    """The answer to the bytes of a request."""
    with socket.create_connection(("127.0.0.1", server.server_port), 10) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(1 << 16), b""))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"BREW / HTTP/1.1\r\nHost: {}\r\n\r\n", 501),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"<script> <b> \x1b[31m\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_gets_the_same_headers(server, request_, status):
    answer = spoken(server, request_)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 %d " % status)
    for name, value in HEADERS.items():
        assert f"\r\n{name}: {value}".encode() in head
    assert b"\r\nContent-Type: text/plain" in head
    assert b"<" not in body
    assert b"\x1b" not in answer


def test_readers_that_go_away_leave_no_traceback(server, board, capfd):
    server.publish(snapshot(board, "logs", {}, {}) | {"padding": "x" * 5_000_000})
    host = f"127.0.0.1:{server.server_port}"
    for request in (
        b"",
        b"GET /data.js",
        b"GET /data.json HTTP/1.1\r\nHost: %s\r\n\r\n",
    ):
        line = socket.create_connection(("127.0.0.1", server.server_port), 10)
        line.sendall(request.replace(b"%s", host.encode()))
        if request.endswith(b"\r\n\r\n"):
            line.recv(1000)
        # Closes with a reset.
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.close()
    assert ask(server)[0] == 200
    time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_many_readers_at_once(server):
    lines = [
        socket.create_connection(("127.0.0.1", server.server_port), 5)
        for _ in range(100)
    ]
    assert ask(server)[0] == 200
    for line in lines:
        line.close()


def test_names_of_what_is_watched_control_nothing(board):
    assert snapshot(board, "a\x1b[31m\u202e", {}, {})["name"] == "a\\x1b[31m\\u202e"


def test_all_addresses_but_no_names():
    with serving("0.0.0.0", 0, 2.0) as server:
        number = server.server_port
        assert server.serves(f"192.168.1.5:{number}")
        assert server.serves(f"[fe80::1]:{number}")
        assert not server.serves(f"evil.example:{number}")


def test_a_port_that_is_taken(server, tmp_path, capsys):
    number = str(server.server_port)
    command = ["watch", str(tmp_path), *OPTIONS, "--web", number]
    assert main(command) == 1
    assert f"port {number}: " in capsys.readouterr().err
    with pytest.raises(SystemExit) as usage:
        main(["watch", *OPTIONS, "--web", str(tmp_path)])
    assert usage.value.code == 2
    assert "takes a port" in capsys.readouterr().err
    assert port("0") == 0


def write(path, rows):
    path.write_text("epoch,accuracy\n" + "".join(f"{s},{v}\n" for _, s, v, _ in rows))


def test_report_writes_one_file(tmp_path, capsys):
    logs = tmp_path / "logs"
    logs.mkdir()
    write(logs / "good.csv", records("", 0.9))
    write(logs / "bad.csv", records("", 0.3))
    (logs / "odd.jsonl").write_text("{{{\n")
    out = tmp_path / "report.html"
    assert main(["report", str(logs), *OPTIONS, "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert not captured.out
    assert "odd: holds no rows; skipped 1 line: line 1: no JSON" in captured.err
    assert "wrote" in captured.err
    page = out.read_text()
    found = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert [run["run"] for run in found["snapshot"]["runs"]] == ["good", "bad"]
    assert "connect-src &#x27;none&#x27;" in page
    assert main(["report", str(logs / "odd.jsonl"), *OPTIONS]) == 1
    assert "there are no observations" in capsys.readouterr().err


def test_report_and_watch_of_standard_input(monkeypatch, capsys):
    text = "run,epoch,accuracy\n" + "".join(
        f"{run},{step},{value}\n" for run, step, value, _ in records("a", 0.9)
    )
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["report", "-", *OPTIONS, "--out", "-"]) == 0
    assert '"run": "a"' in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["watch", "-", *OPTIONS, "--once", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["last"] == 12
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["forecast", "-", *OPTIONS, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"][0] == 13
