#!/bin/sh
# usage: sh run_deep_speech.sh [all|clean|clean_small|other|small|mini] [options of train]
#
# The pipeline of the TensorFlow model garden's deep_speech in one command: downloads the dataset (default: all), trains
# the preset `tensorflow` on it, and prints the error rates of the best epoch on val and test.
#
#   sh run_deep_speech.sh                               all of LibriSpeech, to ./LibriSpeech_dataset
#   sh run_deep_speech.sh clean --data_dir clean --model_dir models/clean --num_gpus 8
#   sh run_deep_speech.sh mini --preset mini            the embedded corpus and the model made for it, on a CPU
#   sh run_deep_speech.sh --train_data_dir my/train.csv --eval_data_dir my/dev.csv
#
# --data_dir DIR         the dataset's folder (default: LibriSpeech_dataset; small_dataset, mini_dataset)
# --train_data_dir FILE  trains on this manifest; with --eval_data_dir and no dataset's name, downloads nothing
# --eval_data_dir FILE   evaluates on this manifest, not on val
# --model_dir DIR        the run's folder (default: results/deep_speech); a run that it holds is continued
#
# Exit status: 0 target reached; 1 a failure; 2 bad usage or input; 3 the target was missed; 128 + N stopped by
# signal N.

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

dataset=
case ${1--} in
    -*) ;;
    '')
        echo "error: the dataset's name is empty; name one, or give options only" >&2
        exit 2
        ;;
    *)
        dataset=$1
        shift
        ;;
esac
data_dir='' train='' eval='' model_dir=$ROOT/results/deep_speech
name=
for value in "$@"; do
    case $value in
        -h | --help)
            sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
            exit
            ;;
    esac
    word=$value
    case $word in
        --*=*) name=${word%%=*} value=${word#*=} ;;
    esac
    case $name in
        --data_dir | --data-dir) data_dir=$value ;;
        --train_data_dir | --train-manifest) train=$value ;;
        --eval_data_dir | --val-manifest) eval=$value ;;
        --model_dir | --output-dir) model_dir=$value ;;
    esac
    name=$word
done
if [ -z "$dataset" ] && { [ -z "$train" ] || [ -z "$eval" ]; }; then
    dataset=all
fi

# A signal to this script alone is passed on to the command that runs, which saves and ends.
run() {
    "$PYTHON" -m speech_recognition "$@" &
    command=$!
    for signal in TERM INT HUP USR1; do
        # shellcheck disable=SC2064 # the signal of this turn
        trap "kill -s $signal $command" "$signal"
    done
    while :; do
        status=0
        wait "$command" || status=$?
        kill -0 "$command" 2>/dev/null || break # else a signal has ended the wait, not the command
    done
    trap - TERM INT HUP USR1
    return "$status"
}

if [ -n "$dataset" ]; then
    case $dataset in
        small | mini) data_dir=${data_dir:-$ROOT/${dataset}_dataset} ;;
        *) data_dir=${data_dir:-$ROOT/LibriSpeech_dataset} ;;
    esac
    # Before hours of downloading: would `train` take these options?
    "$PYTHON" -c 'import sys; from speech_recognition.cli import check; sys.exit(check(sys.argv[1:]))' \
        train --preset tensorflow --model_dir "$model_dir" "$@"
    run download "$dataset" --data-dir "$data_dir"
    set -- --data-dir "$data_dir" "$@"
fi
trained=0
run train --preset tensorflow --model_dir "$model_dir" --resume "$@" || trained=$?
case $trained in
    0 | 3) ;;
    *) exit "$trained" ;;
esac
set -- "${eval:-$data_dir/manifests/val.csv}"
if [ -n "$dataset" ] && [ "$dataset" != small ]; then # which has no test set
    set -- "$@" "$data_dir/manifests/test.csv"
fi
run evaluate "$model_dir/checkpoints/best.pt" "$@"
exit "$trained"
