#!/bin/sh
# usage: sh verify_dataset.sh [all|clean|clean_small|other|small|mini] [--data-dir DIR] [--tar FILE]
#
# Compares the checksum of a processed dataset with its reference: the one in reference_checksums/, or, if none is
# pinned there, the one that was recorded in the dataset's folder when it was made.
#
#   sh verify_dataset.sh               ./LibriSpeech_dataset
#   sh verify_dataset.sh small         ./small_dataset
#   sh verify_dataset.sh mini          ./mini_dataset
#   sh verify_dataset.sh mini --help   every option
#
# Exit status: 0 for "Dataset Checksum Passed."; 1 for a failure, after a line for every missing, extra or
# differing file; 2 for bad usage or input.

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

exec "$PYTHON" -m speech_recognition verify "$@"
