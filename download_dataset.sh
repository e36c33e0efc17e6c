#!/bin/sh
# usage: sh download_dataset.sh [all|clean|clean_small|other|mini] [--data-dir DIR] [--archives DIR] [--mirror URL]
#
# Makes a dataset ready to train on.
#
#   sh download_dataset.sh             LibriSpeech, all of it, into ./LibriSpeech_dataset
#   sh download_dataset.sh clean_small 111 of its 982 hours
#   sh download_dataset.sh mini        synthesises the embedded corpus into ./mini_dataset
#   sh download_dataset.sh all --help  every option
#
# Downloads stay in ./LibriSpeech_archives (or --archives); run it again to continue a broken download.
#
# Exit status: 0 done; 1 a failure, such as a download that no mirror completes; 2 bad usage or input.

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

exec "$PYTHON" -m speech_recognition download "$@"
