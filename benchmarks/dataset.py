"""Processing and verifying a dataset, against the tools that the 2018 reference used.

    python benchmarks/dataset.py FOLDER [--gigabytes 2] [--repeats 3]
    python benchmarks/dataset.py FOLDER --utterances 292367

Makes an archive shaped like LibriSpeech in FOLDER (once): utterances of 8 to 16 s joined from
those of `mini_dataset`, as many as give the wanted size as WAV. Then, in turn:

- `prepare` against `tar xzf` and, for one file after another, `sox` and `soxi` (if they are installed);
- `verify` against `openssl dgst -sha256` on one file of the same size.

Prints the times, the ratio of each pair (median, lowest, highest) and the peak memory. With --utterances it
makes so many, of a tenth of a second each, and prints the memory alone, which their number decides.
"""

import argparse
import io
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from params import SAMPLE_RATE  # noqa: E402
from speech_recognition.corpus.audio import read_pcm  # noqa: E402
from speech_recognition.corpus.manifest import Utterance, read_manifest  # noqa: E402
from speech_recognition.corpus.parallel import in_threads  # noqa: E402

SUBSET = "train-made-1"
CHAPTER_UTTERANCES = 50
SCAN = "import sys, pathlib; from speech_recognition.corpus.tar_stream import scan; "


def make_archive(path: Path, count: int, shortest: float, longest: float) -> None:
    """Write the archive of `count` utterances, each from `shortest` to `longest` seconds; the same every time."""
    parts = read_manifest(ROOT / "mini_dataset" / "manifests" / "train.csv")

    def make(number: int) -> tuple[bytes, str]:
        return make_utterance(parts, number, shortest, longest)

    with (
        tarfile.open(path.with_suffix(".partial"), "w:gz") as tar,
        in_threads(make, range(count), None) as utterances,
    ):
        lines: list[str] = []
        for number, (flac, transcript) in enumerate(utterances):
            chapter = f"{number // CHAPTER_UTTERANCES + 1}"
            name = f"{chapter}-1-{number % CHAPTER_UTTERANCES:04d}"
            add(tar, f"{chapter}/1/{name}.flac", flac)
            lines.append(f"{name} {transcript}\n")
            if len(lines) == CHAPTER_UTTERANCES or number == count - 1:
                add(tar, f"{chapter}/1/{chapter}-1.trans.txt", "".join(lines).encode())
                lines = []
    path.with_suffix(".partial").rename(path)


def make_utterance(parts: list[Utterance], number: int, shortest: float, longest: float) -> tuple[bytes, str]:
    """FLAC and transcript of one utterance, made of the parts with their pauses."""
    draw = random.Random(number)
    length, chosen = round(draw.uniform(shortest, longest) * SAMPLE_RATE), []
    while sum(each.samples for each in chosen) < length:
        chosen.append(draw.choice(parts))
    flac = io.BytesIO()
    samples = np.concatenate([read_pcm(each.audio) for each in chosen])[:length]
    soundfile.write(flac, samples, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
    return flac.getvalue(), " ".join(each.transcript for each in chosen)


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file to the subset."""
    info = tarfile.TarInfo(f"LibriSpeech/{SUBSET}/{name}")
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def run(*command: object) -> tuple[float, float]:
    """Seconds of a command, and its peak memory in megabytes."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(str(word) for word in command)}: failed")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def ours(*arguments: object) -> tuple[float, float]:
    """A command of the benchmark."""
    return run(sys.executable, "-m", "speech_recognition", *arguments)


def unpack_and_convert(archive: Path, folder: Path) -> float:
    """Seconds of what the 2018 reference did for each recording."""
    remove(folder)
    folder.mkdir()
    begin = time.perf_counter()
    run("tar", "xzf", archive, "-C", folder)
    for flac in sorted(folder.rglob("*.flac")):
        wav = flac.with_suffix(".wav")
        run("sox", flac, "-r", SAMPLE_RATE, "-b", 16, "-c", 1, wav)
        run("soxi", "-D", wav)
    seconds = time.perf_counter() - begin
    remove(folder)
    return seconds


def remove(folder: Path) -> None:
    """Remove a folder, and wait for the disk, so that its work does not fall into the next measurement."""
    shutil.rmtree(folder, ignore_errors=True)
    os.sync()


def compare(title: str, other: str, pairs: Iterator[tuple[float, float]]) -> None:
    """Print the medians of both and the ratio of the pairs."""
    times = list(pairs)
    mine, others = (statistics.median(column) for column in zip(*times, strict=True))
    ratios = sorted(other / own for own, other in times)
    print(
        f"{title} {mine:.2f} s, {other} {others:.2f} s: {statistics.median(ratios):.2f} times its rate"
        f" ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        flush=True,
    )


def in_turn(repeats: int, own: Callable[[], float], other: Callable[[], float]) -> Iterator[tuple[float, float]]:
    """Times of both, one after the other."""
    for _ in range(repeats):
        yield own(), other()


def measure_memory(folder: Path, utterances: int) -> None:
    """Print the peak memory of processing and verifying so many."""
    archive, data = folder / f"made_of_{utterances}.tar.gz", folder / f"dataset_of_{utterances}"
    if not archive.exists():
        make_archive(archive, utterances, 0.1, 0.1)
    remove(data)
    seconds, peak = ours("prepare", archive, "--data-dir", data)
    print(f"prepare: {utterances} utterances in {seconds:.0f} s, peak memory {peak:.0f} MB", flush=True)
    seconds, peak = run(sys.executable, "-c", f"{SCAN}scan(pathlib.Path(sys.argv[1]))", data)
    print(f"checksum: {seconds:.0f} s, peak memory {peak:.0f} MB")


def main() -> None:
    """Make the workload, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--utterances", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if options.utterances:
        return measure_memory(folder, options.utterances)
    archive, data = folder / f"made_{options.gigabytes:g}.tar.gz", folder / "dataset"
    if not archive.exists():
        make_archive(archive, round(1e9 * options.gigabytes / (2 * 12 * SAMPLE_RATE)), 8, 16)

    memory = [0.0]

    def prepare() -> float:
        remove(data)
        seconds, peak = ours("prepare", archive, "--data-dir", data)
        memory.append(peak)
        return seconds

    if shutil.which("sox"):
        pairs = in_turn(options.repeats, prepare, lambda: unpack_and_convert(archive, folder / "unpacked"))
        compare("prepare", "tar, sox and soxi", pairs)
    else:
        print(f"prepare {prepare():.2f} s (no sox here to compare with)")
    print(f"prepare: peak memory {max(memory):.0f} MB")

    tar = folder / "dataset.tar"
    run(sys.executable, "-c", f"{SCAN}scan(pathlib.Path(sys.argv[1]), open(sys.argv[2], 'wb'))", data, tar)
    print(f"tar stream: {tar.stat().st_size / 1e9:.2f} GB")

    def verify() -> float:
        seconds, peak = run(sys.executable, "-c", f"{SCAN}scan(pathlib.Path(sys.argv[1]))", data)
        memory.append(peak)
        return seconds

    memory[:] = [0.0]
    pairs = in_turn(2 * options.repeats, verify, lambda: run("openssl", "dgst", "-sha256", tar)[0])
    compare("checksum", "openssl", pairs)
    print(f"checksum: peak memory {max(memory):.0f} MB")


if __name__ == "__main__":
    main()
