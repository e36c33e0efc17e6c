"""Speed and memory of all that comes before a training step, on a made-up dataset as large as LibriSpeech.

    python benchmarks/loading.py [--training-rate 175] [--utterances 281241] [--folder FOLDER]

The script makes a dataset with LibriSpeech's numbers of utterances in a temporary folder (or in FOLDER) and removes it
at the end. The recordings are 1,000 WAV files of noise, 1.4 to 24.5 s long and 0.4 GB together, and every utterance
has one of them under a name of its own (a hard link); transcripts have 14 symbols per second. It prints

- the time from the start of a run's clock to its first batch, and the memory that the manifest takes;
- the padding and the number of shapes of an epoch of `reference`, in batches made of the recordings' lengths, and in
  batches made of their lengths at the tempo that is drawn;
- the time to draw the random values of an epoch, and to plan it;
- the rate at which two processes read batches, as a multiple of `--training-rate`, in seconds of audio per second (the
  default is that of `mini` on two cores).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from benchmarks._made import SYMBOLS_PER_SECOND  # noqa: E402
from benchmarks._others import Others  # noqa: E402
from params import reference  # noqa: E402
from speech_recognition import settings  # noqa: E402
from speech_recognition.corpus.audio import WAV_HEADER_BYTES, write_wav  # noqa: E402
from speech_recognition.corpus.manifest import Utterance, write_manifest  # noqa: E402
from speech_recognition.orders import Indices, epoch_batches  # noqa: E402
from speech_recognition.parameters import SAMPLE_RATE, Params  # noqa: E402
from speech_recognition.reading import load_batches  # noqa: E402
from speech_recognition.recognizer import Recognizer, new_recognizer  # noqa: E402
from speech_recognition.runtime.allocator import keep_memory  # noqa: E402
from speech_recognition.training.data import RunData, read_data  # noqa: E402
from speech_recognition.training.job import Job  # noqa: E402

RECORDINGS = 1000
"""Number of WAV files."""
VAL_UTTERANCES = 5567
"""Utterances of dev-clean and dev-other."""
MULTIPLE = 32
"""Multiple to which a GPU's numbers of frames are rounded up, as in features.py."""


def make_dataset(folder: Path, utterances: int) -> None:
    """Write the recordings and the manifests of a dataset with so many training utterances."""
    draw = np.random.default_rng(1)
    # As in LibriSpeech's train-*, two thirds are near 14 s.
    seconds = np.where(draw.random(10**5) < 0.66, draw.normal(14.4, 1.4, 10**5), draw.uniform(1.4, 14, 10**5))
    lengths = (np.quantile(seconds.clip(1.4, 24.5), np.linspace(0, 1, RECORDINGS)) * SAMPLE_RATE).astype(int).tolist()
    text = " ".join("".join(draw.choice(list("ETAOINSHRDLU"), size)) for size in draw.integers(1, 9, 10_000))
    (folder / "recordings").mkdir()
    noise = draw.integers(-3000, 3000, max(lengths), dtype=np.int16)
    for number, length in enumerate(lengths):
        write_wav(folder / "recordings" / f"{number}.wav", noise[:length])
    for split, count in (("train", utterances), ("val", VAL_UTTERANCES)):
        (folder / split / "wav").mkdir(parents=True)
        rows = (make_utterance(folder / split, lengths, text, number, count) for number in range(count))
        write_manifest(folder / "manifests" / f"{split}.csv", rows)


def make_utterance(folder: Path, lengths: list[int], text: str, number: int, count: int) -> Utterance:
    """Return the utterance with this number, of `count` in ascending length, after it has got its recording."""
    recording = number * len(lengths) // count
    samples, name = lengths[recording], f"{number // 128 + 1:04d}-{number:06d}-0000"
    audio, begin = folder / "wav" / f"{name}.wav", number % (len(text) // 2)
    os.link(folder.parent / "recordings" / f"{recording}.wav", audio)
    return Utterance(
        id=name,
        audio=audio,
        text=folder / "txt" / f"{name}.txt",
        transcript=text[begin : begin + samples * SYMBOLS_PER_SECOND // SAMPLE_RATE].strip(),
        seconds=samples / SAMPLE_RATE,
        samples=samples,
        speaker=name.partition("-")[0],
        subset=f"{folder.name}-made",
        bytes=WAV_HEADER_BYTES + 2 * samples,
    )


def small_reference() -> Params:
    """Return `reference` with a small model: what comes before a step depends on the model's strides alone."""
    return settings.apply(reference(), ["model.rnn_units=8", "model.precision=fp32"])


def read(folder: Path, utterances: int, recognizer: Recognizer) -> RunData:
    """Return the data of a run, as `train` reads it when its clock has started."""
    job = Job(
        params=recognizer.params,
        seed=1,
        device=torch.device("cpu"),
        data_dir=folder,
        train_manifest=folder / "manifests" / "train.csv",
        val_manifest=folder / "manifests" / "val.csv",
        train_utterances=utterances,
        val_utterances=VAL_UTTERANCES,
        longest_train_seconds=24.5,
        longest_val_seconds=24.5,
        output_dir=folder / "run",
    )
    return read_data(job, recognizer, StringIO())


def measure_start(folder: Path, utterances: int) -> None:
    """Print the seconds until the manifests are read, until the first batch, and the manifest's memory in MB.

    The memory is the growth of this process: at its peak, and what stays.
    """
    keep_memory()  # as `train` does
    recognizer = new_recognizer(small_reference(), 1, torch.device("cpu"))
    before, begin = memory("VmRSS"), time.perf_counter()
    data = read(folder, utterances, recognizer)
    manifests = time.perf_counter() - begin
    plan = data.train_set.plan(1)
    with closing(load_batches(data.train_set.utterances, plan.batches, workers=2)) as loaded:
        next(loaded)
        print(manifests, time.perf_counter() - begin, memory("VmHWM") - before, memory("VmRSS") - before)


def memory(name: str) -> float:
    """Return a figure of this process's memory, in MB, by its name in Linux's /proc."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e6


def report_start(folder: Path, utterances: int, repeats: int) -> None:
    """Print the time to the first batch and the memory of the manifest, each run in a new process."""
    command = [sys.executable, __file__, "--start", "--folder", str(folder), "--utterances", str(utterances)]
    outputs = [subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout for _ in range(repeats)]
    rows = [[float(word) for word in output.split()] for output in outputs]
    manifests, first, peak, kept = (statistics.median(column) for column in zip(*rows, strict=True))
    lowest, highest = min(row[1] for row in rows), max(row[1] for row in rows)
    print(f"first batch after {first:.2f} s ({lowest:.2f} to {highest:.2f}), {manifests:.2f} s of it for the manifests")
    print(f"memory of the manifests: {peak:.0f} MB at the peak, {kept:.0f} MB stay")


def report_batches(data: RunData, recognizer: Recognizer) -> None:
    """Print the padding and the shapes of an epoch in which batches are made of either lengths."""
    train_set, chosen = data.train_set, recognizer.params
    samples, draws = torch.tensor(train_set.samples), train_set.draws(1)
    frames = recognizer.features.frames(samples, draws.tempo).numpy()
    for title, stretched in (("lengths as recorded", None), ("lengths at the drawn tempo", draws.stretched(samples))):
        batches = epoch_batches(chosen.data, chosen.data.batch_size, samples, seed=1, epoch=1, stretched=stretched)
        exact, rounded = (padding(frames, batches, multiple) for multiple in (1, MULTIPLE))
        print(f"batches of {title}: {exact}; in multiples of {MULTIPLE} frames, {rounded}")


def padding(frames: np.ndarray, batches: list[Indices], multiple: int) -> str:
    """Return the share of padding and the number of shapes if frames are rounded up to a multiple."""
    longest = np.array([frames[batch].max() for batch in batches])
    rounded = -(-longest // multiple) * multiple
    whole = (rounded * np.array([len(batch) for batch in batches])).sum()
    return f"{100 * (1 - frames.sum() / whole):.1f}% padding, {len(set(rounded.tolist()))} shapes"


def report_plans(data: RunData) -> None:
    """Print the time to draw and to plan an epoch."""
    draws = statistics.median(seconds_of(lambda: data.train_set.draws(2)) for _ in range(5))
    plans = statistics.median(seconds_of(lambda: data.train_set.plan(2)) for _ in range(5))
    print(f"draws of an epoch: {draws:.3f} s; its plan, with them: {plans:.3f} s")


def report_reading(data: RunData, seconds: float, training_rate: float) -> None:
    """Print the rate at which two processes read batches, measured for about so many `seconds`."""
    batches, audio = data.train_set.plan(1).batches, 0.0
    with closing(load_batches(data.train_set.utterances, batches, workers=2)) as loaded:
        for _ in islice(loaded, 8):  # while the processes start, and find the recordings in the page cache
            pass
        begin = time.perf_counter()
        for batch in loaded:
            audio += int(batch.lengths.sum()) / SAMPLE_RATE
            if time.perf_counter() - begin > seconds:
                break
        rate = audio / (time.perf_counter() - begin)
    print(
        f"reading with 2 processes: {rate:.0f} seconds of audio per second, {rate / training_rate:.0f} times a training"
        f" rate of {training_rate:g}"
    )


def seconds_of(work: Callable[[], object]) -> float:
    """Return the time that a call of `work` takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    """Make the dataset, measure, and remove it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--training-rate", type=float, default=175.0, help="seconds of audio that a run trains on per second")
    add("--utterances", type=int, default=281_241)
    add("--folder", type=Path, help="folder for the dataset instead of a temporary one")
    add("--repeats", type=int, default=5, help="runs up to the first batch")
    add("--start", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.start:
        return measure_start(options.folder, options.utterances)
    others = Others()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        make_dataset(folder, options.utterances)
        report_start(folder, options.utterances, options.repeats)
        recognizer = new_recognizer(small_reference(), 1, torch.device("cpu"))
        data = read(folder, options.utterances, recognizer)
        report_batches(data, recognizer)
        report_plans(data)
        report_reading(data, 10, options.training_rate)
    print(f"other processes used {others.cores():.1f} cores")
    return None


if __name__ == "__main__":
    main()
