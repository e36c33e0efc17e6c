#!/bin/sh
# usage: sh verify_dataset.sh [all|clean|clean_small|other|mini] [--data-dir DIR] [--tar FILE]
#
# Checksums a processed dataset and compares it with reference_checksums/.
#
#   sh verify_dataset.sh               ./LibriSpeech_dataset
#   sh verify_dataset.sh mini          ./mini_dataset
#   sh verify_dataset.sh mini --help   every option
#
# Exit status: 0 "Dataset Checksum Passed."; 1 failed, with every missing, extra or differing file;
# 2 bad usage or input.

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

exec "$PYTHON" -m speech_recognition verify "$@"
