#!/bin/sh
# usage: sh docker/run-dev.sh [COMMAND...]
#
# Starts a shell, or COMMAND, in the image speech-recognition-benchmark (another name: set IMAGE).
#
#   sh docker/run-dev.sh
#   sh docker/run-dev.sh sh run_and_time.sh mini
#
# The repository is mounted under its own path, and with it LibriSpeech_dataset, mini_dataset and results: a
# dataset is put in place by renaming, which a mount of that folder alone would refuse. Of these three, one that is
# a symbolic link is mounted where it points to. Files belong to you; the container sees the GPUs if there are any.

set -eu
case ${1:-} in
    -h | --help)
        sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
        exit
        ;;
esac
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)

[ $# -gt 0 ] || set -- bash
set -- "${IMAGE:-speech-recognition-benchmark}" "$@"
for folder in LibriSpeech_dataset mini_dataset results; do
    if [ -L "$ROOT/$folder" ]; then
        target=$(CDPATH='' cd -- "$ROOT/$folder" && pwd -P)
        set -- --volume "$target:$target" "$@"
    fi
done
if nvidia-smi -L >/dev/null 2>&1; then
    set -- --gpus all "$@"
fi
if [ -t 0 ] && [ -t 1 ]; then
    set -- --tty "$@"
fi
# The user's id has no entry in the image's user table: a home and a name are given. The workers that load data
# share memory with the trainer, more than a container has by itself.
exec docker run --rm --init --interactive --ipc=host \
    --user "$(id -u):$(id -g)" --env HOME=/tmp --env USER="$(id -un)" \
    --volume "$ROOT:$ROOT" --workdir "$ROOT" "$@"
