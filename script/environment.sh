# The scripts set ROOT and source this file. It answers -h; otherwise it exports PYTHON, the Python to use, and the
# variables by which that Python finds this package.
# shellcheck shell=sh

case ${1:-} in
    -h | --help)
        sed -n '2,/^$/s/^# \{0,1\}//p' "$0" # the caller's own header
        exit
        ;;
esac

if [ -n "${PYTHON:-}" ]; then
    if ! command -v "$PYTHON" >/dev/null; then
        echo "error: PYTHON is $PYTHON, which is not a command: set it to a Python 3.11 or 3.12, or unset it" >&2
        exit 2
    fi
    case $PYTHON in
        /*) ;;
        */*) PYTHON=$PWD/$PYTHON ;;
    esac
    PYTHONPATH=$ROOT${PYTHONPATH:+:$PYTHONPATH}
else
    for candidate in python3 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
            PYTHON=$(exec "$candidate" -E "$ROOT/script/environment.py") || exit $?
            break
        fi
    done
    if [ -z "${PYTHON:-}" ]; then
        echo "error: no Python found: install Python 3.11 or 3.12, or set PYTHON to it" >&2
        exit 2
    fi
    PYTHONPATH=$ROOT # without the user's PYTHONPATH, which environment.py did not see either
fi
PYTHONSAFEPATH=1 # a params.py in the caller's folder must not replace ours
export PYTHON PYTHONPATH PYTHONSAFEPATH
