"""The speech synthesiser eSpeak NG, in a process of its own.

eSpeak NG is GPL-3.0-or-later, so this program never loads it. Instead, `Synthesizer`
starts the worker `python -m speech_recognition.corpus.mini.espeak`, which reads one job
per line from standard input and answers on standard output. The worker alone loads the
library, which comes with the optional package `espeakng-loader`.

The samples of an utterance must not depend on the utterances before it. The library keeps
state across Terminate and Initialize (its random generator, its echo buffer), so the worker
loads and seeds a fresh copy for every utterance, which takes about 6 ms.
"""

import _ctypes
import ctypes
import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from speech_recognition.errors import InputError

ESPEAK_RATE = 22_050
"""Sample rate of the synthesiser's voices, in Hz."""

_REPLY = struct.Struct("<?I")
"""Header of an answer: success, and the number of bytes that follow (PCM, or an error message)."""

# From espeak-ng/speak_lib.h: AUDIO_OUTPUT_SYNCHRONOUS, espeakRATE, espeakPITCH, POS_CHARACTER, espeakCHARS_UTF8.
_SYNCHRONOUS_OUTPUT = 2
_RATE, _PITCH = 1, 3
_BY_CHARACTER = 1
_UTF8 = 1

_SEED = 1
"""Seed of the library's random generator; the corpus's checksum depends on it."""

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
"""Type of t_espeak_callback: samples, their number, and events; returning 0 continues the synthesis."""


class SynthesisError(RuntimeError):
    """Refusal of a job by the synthesiser, or the early end of its worker."""


@dataclass(frozen=True)
class Speech:
    """One job of the worker."""

    voice: str
    """Language and variant, as in "en-us+f3"."""
    rate: int
    """Speaking rate in words per minute, 80 to 450."""
    pitch: int
    """Pitch relative to the voice's own, 0 to 99."""
    text: str
    """Words to speak."""


class Synthesizer:
    """Running worker process, as a context manager that ends it. Not safe for use by several threads at once.

    Raises InputError if the package `espeakng-loader` is not installed.
    """

    def __init__(self) -> None:
        if importlib.util.find_spec("espeakng_loader") is None:
            raise InputError("the speech synthesiser is missing (package espeakng-loader): run pip install '.[mini]'")
        # The worker must import this copy of the package, whatever the caller's folder and PYTHONPATH are.
        root = str(Path(__file__).resolve().parents[3])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "speech_recognition.corpus.mini.espeak"],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the worker's input, at whose end it stops, and wait for it."""
        self._worker.communicate()

    def speak(self, voice: str, rate: int, pitch: int, text: str) -> NDArray[np.int16]:
        """Return `text` spoken as int16 [samples] at ESPEAK_RATE; `Speech` states the units of the parameters.

        Raises SynthesisError if the voice is unknown or the worker has ended.
        """
        assert self._worker.stdin is not None and self._worker.stdout is not None
        try:
            self._worker.stdin.write(json.dumps(asdict(Speech(voice, rate, pitch, text))).encode() + b"\n")
            self._worker.stdin.flush()
        except BrokenPipeError:
            raise SynthesisError(f"the synthesiser's worker ended with status {self._worker.wait()}") from None
        worked, payload = _read_reply(self._worker.stdout)
        if not worked:
            raise SynthesisError(f"{voice}: {payload.decode()}")
        return np.frombuffer(payload, dtype="<i2")


def _read_reply(stream: IO[bytes]) -> tuple[bool, bytes]:
    """Return success and the payload of one answer; a stream that ends early is a failure with its message."""
    header = stream.read(_REPLY.size)
    if len(header) < _REPLY.size:
        return False, b"the synthesiser's worker ended"
    worked, size = _REPLY.unpack(header)
    payload = stream.read(size)
    return (worked, payload) if len(payload) == size else (False, b"the synthesiser's worker ended")


def _check(status: int, call: str) -> None:
    """Raise SynthesisError unless a call of the library returned 0."""
    if status != 0:
        raise SynthesisError(f"{call} returned {status}")


def say(
    job: Speech, library_path: str, data_path: str, on_events: Callable[[int | None], None] = lambda _: None
) -> bytes:
    """Speak one job in a fresh copy of the library; return its little-endian 16-bit PCM at ESPEAK_RATE.

    `on_events` takes the address of the events of each piece of samples (benchmarks/word_times.py reads them).
    """
    pieces: list[bytes] = []

    def receive(samples: int | None, count: int, events: int | None) -> int:
        """Keep a copy of the samples, whose memory the library uses again; return 0 to go on."""
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        on_events(events)
        return 0

    callback = _Callback(receive)  # in a variable, or ctypes would free it while the library still calls it
    library = ctypes.CDLL(library_path)
    try:
        rate = library.espeak_Initialize(_SYNCHRONOUS_OUTPUT, 0, data_path.encode(), 0)  # 0: its default buffer
        if rate != ESPEAK_RATE:  # also -1, for a failure
            raise SynthesisError(f"espeak_Initialize returned {rate}, not the rate {ESPEAK_RATE}")
        _check(library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED)), "espeak_ng_SetRandSeed")
        _set_voice(library, job, Path(data_path))
        library.espeak_SetSynthCallback(callback)
        text = job.text.encode()
        none = ctypes.c_void_p(None)
        _check(
            library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, _BY_CHARACTER, 0, _UTF8, none, none),
            "espeak_Synth",
        )
        _check(library.espeak_Terminate(), "espeak_Terminate")
    finally:
        # Unloading is the only way to reset the library's state; ctypes itself never unloads one.
        _ctypes.dlclose(library._handle)
    return b"".join(pieces)


def _set_voice(library: ctypes.CDLL, job: Speech, data_path: Path) -> None:
    """Set the library to a job's voice, rate and pitch. Raises SynthesisError if it refuses one of them."""
    variant = job.voice.partition("+")[2]
    # Without this check the library would silently replace an unknown variant by the plain voice.
    if variant and not (data_path / "voices" / "!v" / variant).is_file():
        raise SynthesisError(f"there is no variant {variant}")
    _check(library.espeak_SetVoiceByName(job.voice.encode()), "espeak_SetVoiceByName")
    _check(library.espeak_SetParameter(_RATE, job.rate, 0), "espeak_SetParameter(rate)")
    _check(library.espeak_SetParameter(_PITCH, job.pitch, 0), "espeak_SetParameter(pitch)")


def serve(jobs: IO[bytes], replies: IO[bytes]) -> None:
    """Answer each line of `jobs` (a Speech as JSON) on `replies` until `jobs` ends. Runs in the worker process."""
    import espeakng_loader

    # Ctrl-C in a terminal reaches this process too. It ends with its parent instead, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    library_path, data_path = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
    for line in jobs:
        try:
            worked, payload = True, say(Speech(**json.loads(line)), library_path, data_path)
        except SynthesisError as error:
            worked, payload = False, str(error).encode()
        replies.write(_REPLY.pack(worked, len(payload)) + payload)
        replies.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
