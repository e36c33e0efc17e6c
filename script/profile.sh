#!/bin/sh
# usage: sh script/profile.sh [torch|nsys|ncu] [PRESET] [options of profile]
#
# Records a few steady training steps of PRESET (default: reference) with a profiler, in results/profiles.
#
#   torch    torch's profiler, on any device: profile_<time>_bs_<batch size>.json.gz, its tables and a chart (default)
#   nsys     Nsight Systems, also called nvprof here: profile_<time>_bs_<batch size>.nsys-rep, a timeline
#   ncu      Nsight Compute, also called nsight here: nsight_bs_<batch size>.csv, the use of SMs and tensor cores
#
#   sh script/profile.sh torch mini
#   sh script/profile.sh ncu reference --set data.batch_size=64
#   python -m speech_recognition profile parse results/profiles/nsight_bs_64.csv
#
# Exit status: 0 done; 1 a failure; 2 bad usage or input; 128 + N stopped by signal N; nsys and ncu have their own.

set -eu
ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=script/environment.sh
. "$ROOT/script/environment.sh"

tool=torch
case ${1:--} in
    torch | nsys | nvprof | ncu | nsight)
        tool=$1
        shift
        ;;
esac
preset=reference
case ${1:--} in
    -*) ;;
    *)
        preset=$1
        shift
        ;;
esac
exec "$PYTHON" -m speech_recognition profile "$tool" --preset "$preset" "$@"
