"""Tests of the report page's layout in a real browser."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speech_recognition.report.page import write_report
from speech_recognition.report.record import read_record

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--allow-file-access-from-files",
    "--virtual-time-budget=10000",
    "--window-size=1400,3100",
    "--dump-dom",
]
LIGHT, DARK = "--blink-settings=preferredColorScheme=1", "--blink-settings=preferredColorScheme=0"
# A page that shows the report in a frame of a given width and writes what it measures there into <pre>.
FRAME = """<iframe src="{page}" style="width:{width}px;height:3000px;border:0"></iframe><pre></pre><script>
const overlap = (a, b) => a.left + 1 < b.right && b.left + 1 < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom;
onload = () => {{
  const seen = document.querySelector("iframe").contentDocument, root = seen.documentElement;
  const charts = [...seen.querySelectorAll("svg")];
  const texts = charts.map(chart => [...chart.querySelectorAll("text")]);
  const boxes = texts.map(each => each.map(text => text.getBoundingClientRect()));
  document.querySelector("pre").textContent = JSON.stringify({{
    "too wide": root.scrollWidth - root.clientWidth,
    "charts": charts.length,
    "widths": [...new Set(charts.map(chart => Math.round(chart.getBoundingClientRect().width)))].length,
    "cards": [...new Set([...seen.querySelectorAll(".card")].map(card => card.offsetWidth))].length,
    "letters": [...new Set([...seen.querySelectorAll(".card b")].map(each => getComputedStyle(each).fontSize))].length,
    "smallest text": Math.min(...texts.flat().map(text => parseFloat(getComputedStyle(text).fontSize)
      * text.ownerSVGElement.clientWidth / text.ownerSVGElement.viewBox.baseVal.width)),
    "overlaps": boxes.flatMap((each, chart) => each.flatMap((a, one) => each.slice(one + 1)
      .flatMap((b, other) => overlap(a, b) ? [texts[chart][one].textContent + "|"
        + texts[chart][one + 1 + other].textContent] : []))),
    "heard": [...seen.querySelectorAll("audio")].map(player => player.duration > 0 && !player.error),
    "paper": getComputedStyle(seen.body).backgroundColor,
    "line": getComputedStyle(charts[0].querySelector("[style*='--run0']")).stroke,
  }}).replaceAll("<", " ");
}};
</script>"""


def measured(page: Path, width: int, scheme: str) -> dict[str, Any]:
    """Return what the browser measures on a page, which must not write anything to its console."""
    frame = page.with_name("frame.html")
    frame.write_text(FRAME.format(page=page.name, width=width))
    command = [str(CHROMIUM), *FLAGS, scheme, f"--user-data-dir={page.parent / 'profile'}", frame.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in shown.stderr
    found = re.search(r"<pre>(\{.*\})</pre>", shown.stdout)
    assert found, shown.stdout[-1000:]
    values: dict[str, Any] = json.loads(found[1].replace("&gt;", ">").replace("&amp;", "&"))
    return values


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")
@pytest.mark.parametrize(("count", "width", "scheme"), [(1, 1280, LIGHT), (3, 400, DARK)])
def test_a_browser_shows_everything_without_an_error_and_without_scrolling_aside(
    run_folder: Callable[..., Path],
    val_dataset: Callable[[Path], None],
    tmp_path: Path,
    count: int,
    width: int,
    scheme: str,
) -> None:
    folders = [run_folder(f"mini_20261121_101500_{number}", wers=(53.2, 21.0 - number)) for number in range(count)]
    for folder in folders:
        val_dataset(folder)
    seen = measured(write_report(tmp_path, [read_record(folder) for folder in folders]), width, scheme)
    assert seen["too wide"] == 0 and seen["overlaps"] == []
    assert (seen["charts"], seen["widths"], seen["cards"], seen["letters"]) == (7, 1, 1, 1)
    assert seen["smallest text"] >= 9  # pixels
    assert seen["heard"] == [True] * 3 * count
    dark = scheme == DARK
    assert seen["paper"] == ("rgb(21, 24, 28)" if dark else "rgb(255, 255, 255)")
    assert seen["line"] == ("rgb(77, 166, 224)" if dark else "rgb(0, 114, 178)")
