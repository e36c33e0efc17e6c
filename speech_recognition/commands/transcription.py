"""The command `transcribe`."""

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speech_recognition.commands import Commands
from speech_recognition.commands.decoding import add_beam_options, add_nbest_option, chosen_decoder
from speech_recognition.commands.inference import add_inference_options, load_model
from speech_recognition.errors import ExitStatus, InputError, one_line
from speech_recognition.inference.defaults import LONG_SECONDS, MARGIN_SECONDS

if TYPE_CHECKING:
    from speech_recognition.inference.inputs import Input
    from speech_recognition.inference.transcript import Transcript
    from speech_recognition.inference.transcription import Failure

FORMATS = ("txt", "json", "srt", "vtt", "ctm", "tsv")
"""Names of `inference.formats.FORMATS`, which imports torch."""

_EPILOG = """\
examples:
  transcribe best.pt talk.flac                            print the text
  transcribe best.pt interviews/ --format srt,json --output-dir subtitles
  transcribe best.pt mini_dataset/manifests/test.csv      print every text, and the WER
  ffmpeg -i film.mkv -f wav - | transcribe best.pt -
  arecord -f S16_LE -r 16000 -t raw | transcribe best.pt - --live
"""


def add_transcribe(commands: Commands) -> None:
    """Add the command `transcribe`."""
    parser = commands.add_parser(
        "transcribe",
        help="turn recordings into text, subtitles or words with times",
        description="Print the text of one recording, or a line for each of several: name, tab, text. Where a"
        " transcript lies beside a recording (talk.txt beside talk.wav, LibriSpeech's *.trans.txt, a manifest's own),"
        " the word error rate is printed at the end.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("checkpoint", type=Path, help="a file such as results/.../checkpoints/best.pt, or one that export wrote")
    add(
        "audio",
        nargs="+",
        metavar="AUDIO",
        help="a recording of any format, rate and number of channels that libsndfile reads; a folder; a pattern in"
        " quotes such as 'talks/**/*.flac'; a manifest (.csv, .tsv, .json); or - for standard input",
    )
    add(
        "--format",
        type=_formats,
        default=("txt",),
        metavar="NAMES",
        help=f"{', '.join(FORMATS)}, or several with commas between them (default: txt)",
    )
    add("--output-dir", type=Path, metavar="DIR", help="write a file for each recording and format there")
    add("--skip-existing", action="store_true", help="leave out recordings whose files are in --output-dir already")
    add("--quiet", action="store_true", help="print neither progress nor totals, only results and errors")
    add(
        "--live",
        action="store_true",
        help="transcribe standard input while it arrives: a WAV file of 16-bit samples, or 16 kHz 16-bit samples"
        " alone (unidirectional models only)",
    )
    _add_long_options(parser)
    add_beam_options(parser)
    add_nbest_option(
        parser,
        "with --beam or --lm: list the N likeliest texts of each recording up to --long-seconds in its JSON file",
    )
    add_inference_options(parser)
    parser.set_defaults(run=_transcribe)


def _add_long_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a long recording is divided."""
    add = parser.add_argument
    add(
        "--long-seconds",
        type=float,
        default=LONG_SECONDS,
        metavar="S",
        help="recordings longer than this are taken part by part (default: %(default)g); 0 trims every one to its"
        " speech",
    )
    add(
        "--long",
        choices=["carry", "cut"],
        default="carry",
        help="how: carry the state of a unidirectional model on, which is equal to one pass; or cut at pauses, as"
        " always with other models (default: carry)",
    )
    add(
        "--margin",
        type=float,
        default=MARGIN_SECONDS,
        metavar="S",
        help="seconds of silence to keep around speech where a recording is cut, 0 to 0.15; give less than the default"
        " for a model that was trained on recordings without silence around the speech (default: %(default)g)",
    )


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in FORMATS:
            raise argparse.ArgumentTypeError(f"{name}: must be one of {', '.join(FORMATS)}")
    return names


def _transcribe(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.inference import inputs

    _check_seconds(options)
    if options.live:
        return _live(options)
    with contextlib.ExitStack() as stack:
        standard_input = None
        if inputs.STANDARD_INPUT in options.audio:
            standard_input = stack.enter_context(inputs.copied_standard_input())
        found = inputs.find_inputs(options.audio, standard_input)
        return _transcribe_all(_to_do(found, options), options, single=len(found) == 1)


def _check_seconds(options: argparse.Namespace) -> None:
    """Raise InputError for seconds out of their range."""
    from speech_recognition.inference.segments import MOST_MARGIN_SECONDS

    if not options.long_seconds >= 0:
        raise InputError(f"--long-seconds {options.long_seconds}: must be at least 0")
    if not 0 <= options.margin <= MOST_MARGIN_SECONDS:
        raise InputError(f"--margin {options.margin}: must be from 0 to {MOST_MARGIN_SECONDS}")


def _to_do(found: Sequence["Input"], options: argparse.Namespace) -> list["Input"]:
    """Return the inputs that --skip-existing leaves. Raises InputError for options that contradict the inputs."""
    from speech_recognition.files import check_writable
    from speech_recognition.inference import formats, inputs

    if options.nbest and not ((options.beam or options.lm) and "json" in options.format):
        raise InputError(
            "--nbest: lists what a beam search finds in a JSON file; add --beam or --lm, and --format json"
        )
    if options.output_dir is None:
        if options.skip_existing:
            raise InputError("--skip-existing: without --output-dir there are no files; add --output-dir")
        if len(options.format) > 1 or (options.format != ("txt",) and len(found) > 1):
            raise InputError(f"--format {','.join(options.format)}: several files result; add --output-dir")
        return [*found]
    check_writable(options.output_dir, 1_000_000, "--output-dir")
    if options.skip_existing:
        found = [each for each in found if not formats.written(options.output_dir / each.stem, options.format)]
    inputs.check_outputs(found, options.output_dir, options.format)
    return [*found]


def _transcribe_all(found: Sequence["Input"], options: argparse.Namespace, single: bool) -> ExitStatus:
    """Transcribe recordings and write or print the results. `single` leaves out the name of the only recording."""
    from speech_recognition.inference import formats
    from speech_recognition.inference.transcription import Failure, Transcriber

    transcriber = Transcriber(
        decode=chosen_decoder(options),
        nbest=options.nbest,
        recognizer=load_model(options.checkpoint, options),
        long_seconds=options.long_seconds,
        long=options.long,
        margin=options.margin,
    )
    totals = _Totals()
    with _progress(found, options.quiet) as advance:
        for each, result in zip(found, transcriber.transcribe(found, advance), strict=True):
            totals.add(result)
            if isinstance(result, Failure):
                print(f"error: {one_line(result.message)}", file=sys.stderr)
            elif options.output_dir is not None:
                formats.write(result, options.output_dir / each.stem, options.format)
            elif single:
                print(formats.FORMATS[options.format[0]](result), end="", flush=True)
            else:
                print(f"{one_line(result.name)}\t{result.text}", flush=True)
    if not options.quiet:
        print(totals, file=sys.stderr)
    return ExitStatus.FAILURE if totals.failed else ExitStatus.DONE


class _Totals:
    """Sums over the recordings so far, and the time that they took."""

    def __init__(self) -> None:
        from speech_recognition.scoring import Score

        self._begin = time.monotonic()
        self._recordings, self._seconds, self._score = 0, 0.0, Score()
        self.failed = 0
        """Number of recordings that could not be transcribed."""

    def add(self, result: "Transcript | Failure") -> None:
        """Add the result of one recording."""
        from speech_recognition.inference.transcription import Failure

        if isinstance(result, Failure):
            self.failed += 1
            return
        self._recordings += 1
        self._seconds += result.seconds
        if score := result.score:
            self._score += score

    def __str__(self) -> str:
        elapsed = time.monotonic() - self._begin
        recordings = "1 recording" if self._recordings == 1 else f"{self._recordings} recordings"
        speed = self._seconds / max(elapsed, 1e-9)
        lines = [f"{recordings}, {self._seconds:.1f} s of audio in {elapsed:.1f} s: {speed:.1f} times real time"]
        if self._score.utterances:
            lines.append(f"against the transcripts beside them: {self._score}")
        if self.failed:
            lines.append(f"{self.failed} of the recordings could not be transcribed; the errors above name them")
        return "\n".join(lines)


@contextlib.contextmanager
def _progress(found: Sequence["Input"], quiet: bool) -> Iterator[Callable[[float], None]]:
    """Yield a function that adds finished seconds of audio to the progress."""
    from speech_recognition.inference.transcription import header_seconds
    from speech_recognition.runtime.progress import Progress

    if quiet:
        yield lambda _: None
        return
    done = 0.0
    with Progress("transcribe", round(sum(map(header_seconds, found))), "s of audio") as progress:

        def advance(seconds: float) -> None:
            """Add finished seconds of audio; the progress counts whole ones."""
            nonlocal done
            progress.advance(round(done + seconds) - round(done))
            done += seconds

        yield advance


def _live(options: argparse.Namespace) -> ExitStatus:
    """Print the text of standard input as it is decided."""
    from speech_recognition.inference import inputs, live, streaming

    if options.audio != [inputs.STANDARD_INPUT]:
        raise InputError("--live: reads standard input; give - as the only recording")
    searches = options.beam or options.lm or options.nbest or (options.alpha, options.beta) != (None, None)
    if options.output_dir is not None or options.skip_existing or options.format != ("txt",) or searches:
        raise InputError(
            "--live: prints the greedy text; leave out --format, --output-dir, --skip-existing and all of beam search"
        )
    recognizer = load_model(options.checkpoint, options)
    if not streaming.can_stream(recognizer):
        raise InputError(
            f"--live: the model in {options.checkpoint} hears a recording in both directions, so it has to be complete;"
            " leave out --live, or train with --set model.bidirectional=false"
        )
    for text in live.live_text(recognizer, live.read_live(sys.stdin.buffer, "standard input")):
        print(text, end="", flush=True)
    return ExitStatus.DONE
