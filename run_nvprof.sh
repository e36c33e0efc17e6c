#!/bin/sh
# usage: sh run_nvprof.sh [PRESET] [options of profile]
#
# Records a timeline of training steps with Nsight Systems, which has replaced nvprof. The same as
# sh script/profile.sh nsys.

set -eu
case ${1:-} in
    -h | --help)
        sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
        exit
        ;;
esac
exec sh "$(dirname -- "$0")/script/profile.sh" nsys "$@"
