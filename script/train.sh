#!/bin/sh
# usage: sh script/train.sh new|resume|EPOCH [PRESET] [options of train]
#
# Trains PRESET (default: reference).
#
#   new      from scratch
#   resume   from the newest checkpoint of the preset's newest run in results/
#   EPOCH    from the end of that epoch
#
# On a CPU, a resumed run ends with the same weights, bit by bit, as one that never stopped. Examples:
#
#   sh script/train.sh new mini --seed 1
#   sh script/train.sh resume mini
#   sh script/train.sh 2 mini --output-dir results/walk
#
# Exit status: 0 target reached; 1 a failure; 2 bad usage or input; 3 the target was missed; 128 + N stopped by
# signal N.

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
case ${1:-} in # before the environment, which takes minutes to make
    new | resume | -h | --help) ;;
    '' | *[!0-9]*)
        echo "error: the first argument must be new, resume or the number of an epoch: sh script/train.sh new mini" >&2
        exit 2
        ;;
esac
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

start=$1
case $start in
    new) set -- "" "$@" ;;
    resume) set -- --resume "$@" ;;
    *) set -- "--resume=$start" "$@" ;;
esac
from=$1
shift 2
preset=reference
case ${1:--} in
    -*) ;;
    *)
        preset=$1
        shift
        ;;
esac
exec "$PYTHON" -m speech_recognition train --preset "$preset" ${from:+"$from"} "$@"
