#!/bin/sh
# usage: sh download_dataset.sh [all|clean|clean_small|other|small|mini] [--data-dir DIR] [--archives DIR] [--mirror URL]
#
# Makes a dataset ready to train on.
#
#   sh download_dataset.sh             all of LibriSpeech (982 hours) to ./LibriSpeech_dataset
#   sh download_dataset.sh clean       475 hours, the clean speech; other: the remaining 507 hours
#   sh download_dataset.sh clean_small 111 hours of clean; for the preset of this name, add
#                                      --data-dir LibriSpeech_dataset_clean_small
#   sh download_dataset.sh small       Mini LibriSpeech, 7 hours (459 MB), to ./small_dataset
#   sh download_dataset.sh mini        the embedded corpus, synthesised to ./mini_dataset
#   sh download_dataset.sh all --help  every option
#
# An interrupted download continues when it is started again. The archives stay in ./LibriSpeech_archives
# (or --archives) until you delete them.
#
# Exit status: 0 done; 1 a failure, such as no mirror completing a download; 2 bad usage or input.

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

exec "$PYTHON" -m speech_recognition download "$@"
