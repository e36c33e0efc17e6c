"""Pin a dataset's checksum as the reference: write reference_checksums/NAME.json and NAME.files.

    .venv/bin/python script/pin_checksum.py NAME DATA_DIR

For maintainers only. A pinned checksum is part of the benchmark's definition: it decides which data a run of the
closed division may use. Pin a dataset only if you can show how it was made, and then enter its SHA-256 in
speech_recognition/mlperf/rules/benchmarks.yaml too and run script/make_upstream_patch.py.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from speech_recognition.commands import REFERENCES  # noqa: E402
from speech_recognition.corpus.checksum import write_reference  # noqa: E402
from speech_recognition.errors import ExitStatus, InputError  # noqa: E402


def main(arguments: list[str]) -> ExitStatus:
    """Pin the dataset NAME in DATA_DIR, the two arguments; return the exit status."""
    if len(arguments) != 2 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return ExitStatus.BAD_INPUT
    try:
        write_reference(Path(arguments[1]), REFERENCES, arguments[0])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitStatus.BAD_INPUT
    return ExitStatus.DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
