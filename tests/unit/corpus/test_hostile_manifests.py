"""Manifests, and recordings that they name, made to fill memory, to wait for ever or to lose samples."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speech_recognition.corpus.audio import write_wav
from speech_recognition.corpus.librispeech.prepare import prepare_librispeech
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.errors import InputError

Refuse = Callable[[list[str], str], None]


def make_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def lying_wav(path: Path, rate: int = 16_000) -> None:
    """Promise a half of the samples."""
    soundfile.write(path, np.arange(2000, dtype=np.int16), rate)
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", 2000)
    path.write_bytes(content)


def lying(suffix: str, chunk: bytes, size: bytes) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        path = folder / f"lying.{suffix}"
        soundfile.write(path, np.arange(2000, dtype=np.int16), 8000)
        content = bytearray(path.read_bytes())
        place = content.index(chunk) + len(chunk)
        content[place : place + 4] = size
        path.write_bytes(content)
        return f"audio,transcript\nlying.{suffix},GO\n"

    return make


def many_values(folder: Path) -> str:
    soundfile.write(folder / "many.flac", np.zeros((1000, 8), np.int16), 16_000)
    content = bytearray((folder / "many.flac").read_bytes())
    packed = int.from_bytes(content[18:26], "big") >> 36 << 36 | 3600 * 16_000
    content[18:26] = packed.to_bytes(8, "big")
    (folder / "many.flac").write_bytes(content)
    return "audio,transcript\nmany.flac,GO\n"


def text(make: Callable[[Path], object]) -> Callable[[Path], str]:
    """A row of which the text, at `text`, is made by `make`."""

    def rows(folder: Path) -> str:
        make(folder / "text")
        return "audio,text\none.wav,text\n"

    return rows


def audio(make: Callable[[Path], object]) -> Callable[[Path], str]:
    def rows(folder: Path) -> str:
        make(folder / "made.wav")
        return "audio,transcript\nmade.wav,GO\n"

    return rows


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def samples_json(**sample: str) -> str:
    return json.dumps({"root_path": "", "samples": [{"wav_path": "one.wav", "transcript_path": "one.txt"} | sample]})


def hidden_bytes(folder: Path) -> str:
    (folder / "\udcff").mkdir()
    (folder / "one.txt").write_text("GO")
    write_wav(folder / "\udcff" / "\udcff.wav", np.ones(1000, np.int16))
    return samples_json(wav_path=f"{folder}/\udcff/\udcff.wav", transcript_path=f"{folder}/one.txt")


MANIFESTS = (
    pytest.param(text(device), "text: not a regular file", id="a text that is a device"),
    pytest.param(text(make_pipe), "text: not a regular file", id="a text that is a pipe"),
    pytest.param(text(Path.mkdir), "text file .* cannot be read", id="a text that is a folder"),
    pytest.param(text(large), "text: has over 1000000 bytes", id="a text of a terabyte"),
    pytest.param(audio(device), r"made\.wav is not a regular file", id="a recording that is a device"),
    pytest.param(audio(make_pipe), r"made\.wav is not a regular file", id="a recording that is a pipe"),
    pytest.param(
        lambda _: f"audio,transcript\n{300 * 'x'}/one.wav,GO\n",
        "cannot be read .File name",
        id="a recording's long path",
    ),
    pytest.param(lambda _: "audio,transcript\none.wav\0,GO\n", "does not exist", id="a zero in a path"),
    pytest.param(lambda _: "audio,text\none.wav,one\0.txt\n", "cannot be read", id="a zero in a text's path"),
    pytest.param(lambda _: samples_json(wav_path="\ud800.wav"), "printable", id="half a surrogate"),
    pytest.param(hidden_bytes, "utterance_id .* must be printable", id="an id that is no text"),
    pytest.param(
        lambda _: 'audio,transcript,utterance_id\none.wav,GO,"x\nerror: y"\n',
        "utterance_id 'x.*error: y' must be printable",
        id="an id that forges a line",
    ),
    pytest.param(
        lambda _: "audio,transcript,subset\none.wav,GO,\x1b[2J\n",
        "subset .* must be printable",
        id="a subset that clears the screen",
    ),
    pytest.param(
        lambda _: f"audio,transcript,speaker\none.wav,GO,{300 * 'x'}\n",
        "speaker .* at most 200 characters",
        id="a speaker of 300 characters",
    ),
    pytest.param(
        lambda _: "audio,transcript\n" + "\0" * 2_000_000, r"train\.csv:2: a line of more than", id="a line of 2 MB"
    ),
    pytest.param(lambda _: '{"a":' + 100_000 * "[", "not a manifest", id="JSON of great depth"),
    pytest.param(lambda _: '{"a":' + 5000 * "1" + "}", "not a manifest", id="a number of 5000 digits"),
    pytest.param(
        audio(lying_wav), "1000 samples, after which 2000 bytes are unaccounted for", id="a WAV file that promises less"
    ),
)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        *MANIFESTS,
        pytest.param(
            lambda _: "audio,transcript,utterance_id\none.wav,GO,../x\n", "name of a file", id="other names of files"
        ),
        pytest.param(
            lying("aiff", b"SSND", struct.pack(">I", 2008)), "unaccounted for", id="an AIFF file that promises less"
        ),
        pytest.param(
            lying("au", b".snd\0\0\0\x18", struct.pack(">I", 2000)),
            "unaccounted for",
            id="an AU file that promises less",
        ),
        pytest.param(many_values, "57600000 samples of 8 channels, must be at most 345600000", id="460 million values"),
    ],
)
def test_a_hostile_manifest(tmp_path: Path, refuse: Refuse, make: Callable[..., Any], message: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    write_wav(folder / "one.wav", np.ones(1000, np.int16))
    (folder / "train.csv").write_text(make(folder))
    arguments = ["prepare", "--manifest", str(folder / "train.csv"), "--data-dir", str(tmp_path / "out")]
    refuse(arguments, message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        *MANIFESTS,
        pytest.param(
            lambda _: f"audio,transcript,samples\none.wav,GO,{3 * 3600 * 16_000}\n",
            "must be at most 57600000",
            id="3 hours in a row",
        ),
        pytest.param(
            audio(lambda path: three_hours(path)), "172800000 samples, more than an hour", id="3 hours in a header"
        ),
    ],
)
def test_a_hostile_manifest_to_train_on(tmp_path: Path, make: Callable[..., Any], message: str) -> None:
    write_wav(tmp_path / "one.wav", np.ones(1000, np.int16))
    (tmp_path / "train.csv").write_text(make(tmp_path))
    with pytest.raises(InputError, match=f"(?s){message}"):
        read_manifest(tmp_path / "train.csv")


def three_hours(path: Path) -> None:
    size = 2 * 3 * 3600 * 16_000
    write_wav(path, np.ones(10, np.int16))
    content = bytearray(path.read_bytes()[:44])
    content[40:44] = struct.pack("<I", size)
    path.write_bytes(content)
    os.truncate(path, 44 + size)


@pytest.mark.parametrize("make", [make_pipe, device], ids=["pipe", "device"])
def test_a_manifest_that_never_ends(tmp_path: Path, refuse: Refuse, make: Callable[[Path], None]) -> None:
    make(tmp_path / "train.csv")
    arguments = ["prepare", "--manifest", str(tmp_path / "train.csv"), "--data-dir", str(tmp_path / "out")]
    refuse(arguments, r"train\.csv: not a regular file")


def test_a_data_folder_whose_name_is_no_text(source: Path, tmp_path: Path, refuse: Refuse) -> None:
    """Its path is part of the form mlperf."""
    out = str(tmp_path / "\udcff")
    prepare_librispeech(source, Path(out))
    refuse(["prepare", str(source), "--data-dir", out, "--overwrite", "--format", "mlperf"], "is not UTF-8")
