#!/bin/sh
# usage: sh docker/build-docker.sh [docker build options]
#
# Builds the image speech-recognition-benchmark. Set IMAGE for a different name.

set -eu
case ${1:-} in
    -h | --help)
        sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
        exit
        ;;
esac
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
exec docker build --tag "${IMAGE:-speech-recognition-benchmark}" --file "$ROOT/docker/Dockerfile" "$@" "$ROOT"
