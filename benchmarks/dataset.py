"""Speed and memory of dataset processing and verification, compared with the tools of the 2018 reference.

    python benchmarks/dataset.py FOLDER [--gigabytes 2] [--repeats 3]
    python benchmarks/dataset.py FOLDER --utterances 292367

The script first makes an archive in LibriSpeech's layout in FOLDER, unless it is there already: utterances of 8 to
16 s, joined from those of `mini_dataset`, until they have the given size as WAV files. Then it alternates between

- `prepare` and, if sox is installed, `tar xzf` followed by `sox` and `soxi` for each file;
- `verify` and `openssl dgst -sha256` of one file of the same size.

It prints the times, the ratio of each pair (median, lowest, highest) and the peak memory. With --utterances N it makes
N utterances of 0.1 s and prints only times and peak memory, which grows with the number of utterances.
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

from speech_recognition.corpus.audio import read_pcm  # noqa: E402
from speech_recognition.corpus.manifest import Utterance, read_manifest  # noqa: E402
from speech_recognition.corpus.parallel import in_threads  # noqa: E402
from speech_recognition.parameters import SAMPLE_RATE  # noqa: E402

SUBSET = "train-made-1"
"""Name of the archive's only subset."""
CHAPTER_UTTERANCES = 50
"""Most utterances in a chapter; each chapter has a speaker of its own."""
SCAN = "import sys, pathlib; from speech_recognition.corpus.tar_stream import scan; "
"""Beginning of a Python program that computes the checksum of a folder, without the rest of `verify`."""


def make_archive(path: Path, count: int, shortest: float, longest: float) -> None:
    """Write an archive of `count` utterances of `shortest` to `longest` seconds; equal arguments, equal content."""
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
    """Return the FLAC content and the transcript of one utterance, joined from randomly chosen `parts`."""
    draw = random.Random(number)
    length, chosen = round(draw.uniform(shortest, longest) * SAMPLE_RATE), []
    while sum(each.samples for each in chosen) < length:
        chosen.append(draw.choice(parts))
    flac = io.BytesIO()
    samples = np.concatenate([read_pcm(each.audio) for each in chosen])[:length]
    soundfile.write(flac, samples, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
    return flac.getvalue(), " ".join(each.transcript for each in chosen)


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file with the given content to the subset in `tar`."""
    info = tarfile.TarInfo(f"LibriSpeech/{SUBSET}/{name}")
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def run(*command: object) -> tuple[float, float]:
    """Run a command; return its seconds and its peak memory in MB (2**20 bytes). Raises SystemExit if it fails."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(str(word) for word in command)}: failed")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def ours(*arguments: object) -> tuple[float, float]:
    """Run a command of this package; return its seconds and its peak memory in MB."""
    return run(sys.executable, "-m", "speech_recognition", *arguments)


def unpack_and_convert(archive: Path, folder: Path) -> float:
    """Return the seconds that the 2018 reference's tools take to unpack and convert each recording in turn."""
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
    """Remove a folder and wait until the disk has done it, so that the next measurement is undisturbed."""
    shutil.rmtree(folder, ignore_errors=True)
    os.sync()


def compare(title: str, other: str, pairs: Iterator[tuple[float, float]]) -> None:
    """Print the median of both times and the median, lowest and highest ratio of the pairs."""
    times = list(pairs)
    mine, others = (statistics.median(column) for column in zip(*times, strict=True))
    ratios = sorted(other / own for own, other in times)
    print(
        f"{title} {mine:.2f} s, {other} {others:.2f} s: {statistics.median(ratios):.2f} times its rate"
        f" ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        flush=True,
    )


def in_turn(repeats: int, own: Callable[[], float], other: Callable[[], float]) -> Iterator[tuple[float, float]]:
    """Yield the times of `own` and `other`, called alternately `repeats` times."""
    for _ in range(repeats):
        yield own(), other()


def measure_memory(folder: Path, utterances: int) -> None:
    """Print the time and the peak memory of processing and verifying `utterances` utterances of 0.1 s."""
    archive, data = folder / f"made_of_{utterances}.tar.gz", folder / f"dataset_of_{utterances}"
    if not archive.exists():
        make_archive(archive, utterances, 0.1, 0.1)
    remove(data)
    seconds, peak = ours("prepare", archive, "--data-dir", data)
    print(f"prepare: {utterances} utterances in {seconds:.0f} s, peak memory {peak:.0f} MB", flush=True)
    seconds, peak = run(sys.executable, "-c", f"{SCAN}scan(pathlib.Path(sys.argv[1]))", data)
    print(f"checksum: {seconds:.0f} s, peak memory {peak:.0f} MB")


def main() -> None:
    """Make the archive, then measure."""
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
        # 8 to 16 s are 12 s on average, of 2 bytes per sample.
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
