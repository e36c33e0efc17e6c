#!/bin/sh
# usage: sh download_dataset.sh DATASET [--data-dir DIR]
#
# Makes a dataset ready to train on.
#
#   sh download_dataset.sh mini        synthesises the embedded corpus into ./mini_dataset
#   sh download_dataset.sh mini --help every dataset and option
#
# Exit status: 0 done; 1 a failure; 2 bad usage or input.

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

exec "$PYTHON" -m speech_recognition download "$@"
