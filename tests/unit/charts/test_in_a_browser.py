"""The page's script in a real browser, under the strictest policy that pages are served with."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pytest

from gpulake import charts

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'"
CHROMIUM = shutil.which("chromium")

WATCH = """
addEventListener("securitypolicyviolation", (event) => { document.title += "|refused " + event.violatedDirective; });
addEventListener("load", () => setTimeout(() => {
  const ticks = [...document.querySelectorAll("#hours text")].map((each) => each.textContent);
  document.title += `|drawn ${document.querySelectorAll(".picture svg").length}|${ticks.join(";")}`;
}, 1500));
"""


def page() -> str:
    hours = pa.table({"weekday": [1, 7], "hour_no": [0, 23], "</script>": [11.0, 60.0]})
    days = pa.table({
        "dt": pa.array([4, 5, 11], pa.int32()).cast(pa.date32()), "active_gpu_h": [1.0, 2.0, 3.0], "idle_held_gpu_h": [1.0, 1.0, 1.0],
        "unknown_gpu_h": [0.0, 0.0, 0.0], "unallocated_gpu_h": [5.0, 4.0, 3.0], "down_gpu_h": [0.0, 0.0, 0.0],
    })  # fmt: skip
    flagged = pa.table({"dt": days.column("dt").slice(1, 1), "why": ["</script>"]})
    marks = [
        charts.Mark(kind, "a mark", flagged, "dt", "why") for kind in (charts.FLAGGED, charts.URGENT, charts.NOTED)
    ]
    figures = [
        charts.week(hours, title="When?", value="</script>", unit="use, %").html(element_id="week"),
        charts.parts_by_day(days, title="Which?", marks=marks, calendar=charts.Calendar(hides_dates=True)).html(
            element_id="hours"
        ),
    ]
    scripts = "".join(f'<script defer src="/{name}"></script>' for name in ("watch.js", *charts.SCRIPTS))
    return (
        f'<!doctype html><title>page</title><link rel="stylesheet" href="/style.css">{scripts}<body>{"".join(figures)}'
    )


@pytest.fixture
def address() -> Iterator[str]:
    """The page on loopback."""
    served = {
        "/": ("text/html", page().encode()),
        "/style.css": ("text/css", charts.page_style().encode()),
        "/watch.js": ("text/javascript", WATCH.encode()),
        **{f"/{name}": ("text/javascript", charts.static_file(name)) for name in charts.SCRIPTS},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = served.get(self.path, ("text/plain", b""))
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_pictures_are_drawn_under_a_strict_policy(address: str, tmp_path: Path) -> None:
    """No inline script, no evaluated text, no inline style: and still each picture is there, with its days named."""
    seen = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--enable-logging=stderr",
         "--virtual-time-budget=8000", "--dump-dom", address],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    title = re.findall(r"<title>(page.*?)</title>", seen.stdout, flags=re.DOTALL)[0]

    assert "|drawn 2|" in title
    assert "refused" not in title
    assert "day 4" in title
    assert "day 11" in title
    assert "CONSOLE" not in seen.stderr
