#!/bin/sh
# A second name of docker/build-docker.sh, for those who know it from other benchmarks.
exec sh "$(dirname -- "$0")/build-docker.sh" "$@"
