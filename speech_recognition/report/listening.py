"""The recordings of utterances as data URIs, so that the page can play them wherever it is opened."""

import base64
import io
from collections.abc import Iterator

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray

from speech_recognition.corpus.audio import read_pcm
from speech_recognition.corpus.manifest import Utterance, base_folder, read_manifest
from speech_recognition.errors import InputError
from speech_recognition.mlperf.mllog_writer import REPOSITORY
from speech_recognition.parameters import SAMPLE_RATE
from speech_recognition.report.record import Record

MOST_BYTES = 1_000_000
"""Largest size of all recordings of a page together, in bytes of data URIs: about three minutes of speech."""

_LONGEST_SECONDS = 60
"""Longest recording that is embedded; LibriSpeech's have at most 35 seconds."""


class Listening:
    """Source of recordings for one page, of at most MOST_BYTES together."""

    def __init__(self) -> None:
        """Start with no recording on the page."""
        self._left = MOST_BYTES

    def recordings(self, record: Record, rows: pd.DataFrame) -> dict[str, str]:
        """Return the recordings of `rows` (of utterances.csv) as data URIs, by utterance id.

        Recordings are left out if they are no longer where the run read them, are not those that it transcribed, lie
        outside the dataset's folder, or are too large.
        """
        found = {}
        utterances = dict(_val(record))
        for row in rows.to_dict("records"):
            utterance = utterances.get(row["utterance_id"])
            if utterance and utterance.transcript == row["reference"] and row["seconds"] <= _LONGEST_SECONDS:
                uri = _uri(utterance)
                if 0 < len(uri) <= self._left:
                    found[utterance.id] = uri
                    self._left -= len(uri)
        return found


def _val(record: Record) -> Iterator[tuple[str, Utterance]]:
    """Yield the utterances of the dataset's val that lie in its folder, with their ids; none if there is no dataset.

    The folder's name is from params.json, which a stranger may have written together with a manifest that names any
    file of the user: a recording outside the dataset's folder must not get into a page that the user passes on.
    """
    dataset = REPOSITORY / record.parameters["data.dataset"]
    for manifest in (dataset / "manifests" / "val.csv", dataset / "val.csv"):
        try:
            folder = base_folder(manifest).resolve()
            for each in read_manifest(manifest):
                if each.audio.resolve().is_relative_to(folder):
                    yield each.id, each
            return
        except (InputError, OSError, RuntimeError, ValueError):  # such as a folder whose name is no path here
            continue


def _uri(utterance: Utterance) -> str:
    """Return a recording as a data URI, or "" if it cannot be read."""
    try:
        content = _mp3(read_pcm(utterance.audio, utterance.samples))
    except (InputError, OSError, soundfile.LibsndfileError):
        return ""
    return f"data:audio/mpeg;base64,{base64.b64encode(content).decode()}"


def _mp3(samples: NDArray[np.int16]) -> bytes:
    """Return int16 [samples] as MP3, which every browser plays, of about 4 kB per second."""
    stream = io.BytesIO()
    soundfile.write(
        stream, samples, SAMPLE_RATE, format="MP3", subtype="MPEG_LAYER_III",
        bitrate_mode="VARIABLE", compression_level=0.9,
    )  # fmt: skip
    return stream.getvalue()
