#!/bin/sh
# usage: sh script/test.sh EPOCH libri|mini HOLD_IDX HOLD_SEC N_TRIALS [options]
#
# Measures the latency of a trained model on a test set: WER, CER, mean, 50th and 99th percentile, throughput.
#
#   EPOCH      epoch whose checkpoint is tested, of the newest run or of --run DIR; or the file of a model
#   HOLD_IDX   row of the test set that is repeated, so that all inputs have one duration; -1: the normal set
#   HOLD_SEC   number by which latencies are divided, such as the seconds of that row; 1: none
#   N_TRIALS   number of batches after which to stop; -1: all
#
#   sh script/test.sh 20 libri -1 1 -1                          every utterance of test, one at a time
#   sh script/test.sh 3 mini -1 1 -1 --precision int8 --output test.csv
#   sh script/test.sh 3 mini 150 2.9 50 --batch-size 8          one clip, 50 batches, seconds for a second of audio
#   python -m speech_recognition test --help                    every option
#
# Exit status: 0 done; 1 a failure; 2 bad usage or input; 128 + N stopped by signal N.

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
case ${1:-} in # before the environment, which takes minutes to make
    -h | --help) ;;
    *)
        if [ $# -lt 5 ]; then
            echo "error: five arguments are needed: sh script/test.sh EPOCH libri|mini HOLD_IDX HOLD_SEC N_TRIALS" >&2
            exit 2
        fi
        ;;
esac
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

exec "$PYTHON" -m speech_recognition test "$@"
