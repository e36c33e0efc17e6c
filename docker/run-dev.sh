#!/bin/sh
# usage: sh docker/run-dev.sh [COMMAND...]
#
# Starts a shell, or COMMAND, in the image speech-recognition-benchmark. Set IMAGE for a different name.
#
#   sh docker/run-dev.sh
#   sh docker/run-dev.sh sh run_and_time.sh mini
#
# Mounts the repository under its own path, with the presets' datasets and results in it. They are not mounted one by
# one: the program renames a finished dataset into place, which fails for a mount point. If one of these folders is a
# symbolic link, its target is mounted too. New files belong to you. The container sees the GPUs if there are any.

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
for folder in LibriSpeech_dataset LibriSpeech_dataset_clean_small small_dataset mini_dataset results; do
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
# The image does not know the user's id, so HOME and USER are set. --ipc=host: the data loader's processes need more
# shared memory than a container has by default.
exec docker run --rm --init --interactive --ipc=host \
    --user "$(id -u):$(id -g)" --env HOME=/tmp --env USER="$(id -un)" \
    --volume "$ROOT:$ROOT" --workdir "$ROOT" "$@"
