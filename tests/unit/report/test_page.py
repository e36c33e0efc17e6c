"""The report page: its text, and its layout in a real browser."""

import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from speech_recognition.cli import main
from speech_recognition.report.page import own_report, write_report
from speech_recognition.report.record import read_record
from speech_recognition.runtime.distributed import Launch

Maker = Callable[..., Path]

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
    "--dump-dom",
]
# A page that shows the report in a frame of a given width and writes what does not fit into <pre>.
FRAME = """<iframe src="{page}" style="width:{width}px;height:3000px;border:0"></iframe><pre></pre><script>
onload = () => {{
  const seen = document.querySelector("iframe").contentDocument;
  const images = [...seen.images].map(image => image.naturalWidth);
  const root = seen.documentElement;
  document.querySelector("pre").textContent =
    JSON.stringify([root.scrollWidth - root.clientWidth, Math.min(...images), images.length, seen.title]);
}};
</script>"""


def page_of(*folders: Path, into: Path) -> str:
    return write_report(into, [read_record(folder) for folder in folders]).read_text()


def test_a_run_has_everything_on_one_page(run_folder: Maker, tmp_path: Path) -> None:
    text = page_of(run_folder(), into=tmp_path)
    assert "23, reached" in text and "SUCCESS" in text and "21.00" in text
    assert text.count('<img src="data:image/png;base64,') == 8
    assert "optimizer.learning_rate" in text and "host_processor_model_name" in text
    assert '<span class="upper">DOG</span><span class="lower">DOC</span>' in text
    assert '<span class="pair deletion"><span class="upper">ONE</span>' in text
    assert '<span class="pair insertion"><span class="upper"></span><span class="lower">NOW</span>' in text
    assert "DOG &rarr; DOC" in text
    assert text.index(">3-1-0,") < text.index(">2-1-0,") < text.index(">1-1-0,") and ">0-1-0," not in text


def test_it_names_the_data_that_the_log_names(run_folder: Maker, tmp_path: Path) -> None:
    text = page_of(run_folder("verified", verified=("all", "5" * 64)), into=tmp_path)
    assert f"<dt>dataset</dt><dd>all, SHA-256 {'5' * 64}</dd>" in text and "mini_dataset" not in text
    text = page_of(run_folder("unknown", verified=None), into=tmp_path)
    assert "<dt>dataset</dt><dd>mini_dataset; the log has no checksum of it</dd>" in text


def test_nothing_on_it_comes_from_elsewhere_or_is_code(run_folder: Maker, tmp_path: Path) -> None:
    text = page_of(run_folder(), into=tmp_path)
    assert re.findall(r'(?:src|href)="(?!data:)', text) == [] and "url(" not in text
    assert "<SCRIPT>" not in text and "&lt;SCRIPT&gt;" in text


def test_a_log_that_breaks_rules_is_said_to(run_folder: Maker, tmp_path: Path) -> None:
    text = page_of(run_folder(wers=(53.2, 31.0)), into=tmp_path)
    assert "Not compliant" in text and "23, not reached" in text and "status" in text


def test_a_run_that_is_not_over_is_no_failure(run_folder: Maker, tmp_path: Path) -> None:
    folder = run_folder()
    log = folder / "speech_ds2.out"
    log.write_text("".join(line for line in log.read_text().splitlines(True) if "run_stop" not in line))
    text = page_of(folder, into=tmp_path)
    assert "23, not ended" in text and "has not ended" in text and "Not compliant" not in text


def test_several_runs_stand_side_by_side(run_folder: Maker, tmp_path: Path) -> None:
    better = run_folder("better", seed=8, hypotheses=["THE CAT SAT", "A DOG RAN", "NO ONE CAME HOME", "YES"])
    text = page_of(run_folder("first"), better, run_folder("same", seed=9), into=tmp_path)
    assert "3 runs" in text and "the logs of 3 runs pass the rules" in " ".join(text.split())
    assert re.search(r"Score, the mean time.*<b>[0-9.]+ seconds<", text)
    rows = re.findall(r"<tr><td>(better|same)</td>\s*<td class=\"number\">([^<]*)</td>", text)
    assert rows[:2] == [("better", "-36.36"), ("same", "+0.00")]
    assert "no difference shown" in text


def test_the_command_writes_it_where_it_is_asked(
    run_folder: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = run_folder("first"), run_folder("second")
    assert main(["report", str(first)]) == 0
    assert capsys.readouterr().out == f"{first / 'report.html'}\n"
    assert main(["report", str(first), str(second)]) == 2
    assert "several runs need --output-dir" in capsys.readouterr().err
    out = tmp_path / "both"
    assert main(["report", str(first), str(second), "--output-dir", str(out), "--tensorboard", str(out / "tb")]) == 0
    assert {path.name for path in out.iterdir()} == {"report.html", "charts", "tb"}
    assert len(list((out / "charts").glob("*.png"))) == 8


@pytest.mark.parametrize(("failure", "restarts_left", "evaluated", "written"), [
    (None, 0, True, True),
    (None, 2, True, True),
    (SystemExit(143), 0, True, True),
    (SystemExit(143), 2, True, False),
    (None, 0, False, False),
])  # fmt: skip
def test_a_run_that_has_ended_has_its_own_page(
    run_folder: Maker, failure: BaseException | None, restarts_left: int, evaluated: bool, written: bool
) -> None:
    folder = run_folder()
    if not evaluated:
        (folder / "metrics.csv").unlink()
    with suppress(SystemExit), own_report(folder, Launch(max_restarts=restarts_left)):
        if failure:
            raise failure
    assert {(folder / name).exists() for name in ("report.html", "curves.png")} == {written}


def test_a_page_that_cannot_be_made_does_not_change_the_run(
    run_folder: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_folder()
    (folder / "metrics.csv").write_text("")
    with own_report(folder, Launch()):
        pass
    assert capsys.readouterr().err.startswith(f"warning: no report: {folder / 'metrics.csv'}: cannot be read")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("count", [1, 3])
def test_a_browser_shows_it_without_an_error_and_without_scrolling_aside(
    run_folder: Maker, tmp_path: Path, width: int, count: int
) -> None:
    page_of(*(run_folder(f"mini_20261121_101500_{number}") for number in range(count)), into=tmp_path)
    frame = tmp_path / "frame.html"
    frame.write_text(FRAME.format(page="report.html", width=width))
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,3100"]
    shown = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in shown.stderr
    title = "mini_20261121_101500_0" if count == 1 else "3 runs"
    assert f'<pre>[0,828,8,"DeepSpeech2: {title}"]</pre>' in shown.stdout
