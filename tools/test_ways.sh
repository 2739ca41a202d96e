#!/usr/bin/env bash
# Run the tests as other machines compute them: every way must pass, since sums are ordered by the number of threads and the width of the
# processor's instructions, and a machine may be busy.
#
#   bash tools/test_ways.sh                              # all five ways, one after the other; exit 1 when one fails
#   bash tools/test_ways.sh --list                       # their names
#   bash tools/test_ways.sh avx2 --path 01_losses.ipynb  # one way; the rest goes to nbdev_test
set -uo pipefail
ways=(plain one_thread avx2 no_simd busy)

nbdev_test_in() {     # nbdev_test_in WAY ARGUMENTS...
    local way=$1 loops=() rc; shift
    case $way in
        plain)      nbdev_test "$@";;
        one_thread) OMP_NUM_THREADS=1 nbdev_test "$@";;
        avx2)       ATEN_CPU_CAPABILITY=avx2 DNNL_MAX_CPU_ISA=AVX2 nbdev_test "$@";;
        no_simd)    ATEN_CPU_CAPABILITY=default nbdev_test "$@";;
        busy)       # one loop for each core; each ends by itself when this script does, however it ends
            for _ in $(seq "$(nproc)"); do ( while kill -0 $$ 2>/dev/null; do for _ in {1..100000}; do :; done; done ) & loops+=($!); done
            nbdev_test "$@"; rc=$?
            kill "${loops[@]}"; wait "${loops[@]}" 2>/dev/null; return $rc;;
        *)          echo "no way is called $way; there are: ${ways[*]}" >&2; return 2;;
    esac
}

cd "$(dirname "${BASH_SOURCE[0]}")/../nbs"
case ${1:-} in
    --list) printf '%s\n' "${ways[@]}"; exit;;
    '')     failed=()
            for w in "${ways[@]}"; do
                t0=$SECONDS; nbdev_test_in "$w" || failed+=("$w")
                echo "== $w: $((SECONDS-t0)) s"
            done
            [ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}"; exit 1; };;
    *)      nbdev_test_in "$@";;
esac
