#!/bin/sh
# usage: sh run_and_time.sh [PRESET] [options]
#
# Runs the benchmark: trains until the preset's target WER or its last epoch, evaluates after each epoch, prints
# MLPerf's timing block and checks its own log. PRESET is a name in params.py (default: reference).
#
#   sh run_and_time.sh mini | tee speech_ds2.out     the embedded corpus; makes and verifies it first; minutes on a CPU
#   sh run_and_time.sh small                         Mini LibriSpeech, which sh download_dataset.sh small makes
#   sh run_and_time.sh mini --seed 1 --set data.workers=0
#   sh run_and_time.sh mini --runs 10                ten runs with different seeds, and their score
#   sh run_and_time.sh mini --help                   every option and parameter
#
# Exit status: 0 target reached and log compliant; 1 a failure, or the log is not compliant; 2 bad usage or
# input; 3 the target was missed; 128 + N stopped by signal N.

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

preset=reference
case ${1:--} in
    -*) ;;
    *)
        preset=$1
        shift
        ;;
esac
exec "$PYTHON" -m speech_recognition train --preset "$preset" --timed "$@"
