#!/bin/sh
# Measures supd, peers and the kernel's bare limits side by side, and compares
# with what we want to reach.
#
#   bench.sh           needs top_srcdir, top_builddir, and PEERBENCH: the
#                      directory of the harness (its run.sh; needs root,
#                      python3, and the peers by its setup.sh)
#
#   BENCH_ROUNDS=5     rounds of each measure
#   BENCH_PEERS=…      peers besides the bare limits
#
# Peers are interleaved with supd round by round by the harness.  Absolute
# times of a shared machine mean little: the table is of ratios within one run.
set -eu
export LC_ALL=C

peerbench=${PEERBENCH:?name the directory of the peer benchmark}
rounds=${BENCH_ROUNDS:-5}
peers=${BENCH_PEERS-s6-direct runit-direct}

export SUPD_BUILD="${top_builddir:?}"
export PB_ADAPTERS="${top_srcdir:?}/tests/peerbench"
export PB_OUT="${BENCH_OUT:-$top_builddir/bench}"
export PB_FRESH=1 PB_RUNS_N="$rounds"

run() {         # MEASURE PEER…
	echo "measuring $*" >&2
	"$peerbench/run.sh" "$@" >"$PB_OUT/$1.log" 2>&1 || {
		tail -n 20 "$PB_OUT/$1.log" >&2
		exit 1
	}
}

mkdir -p "$PB_OUT"
# shellcheck disable=SC2086
{
	run A raw-vfork supd $peers
	PB_NS=100,1000 run BC raw-vfork supd $peers
	PB_IDLE_N=100 run D raw-vfork supd $peers
	PB_E_ONLY=hup:0,hup:32,reload:0,reload:32 run E raw-grace supd
}
python3 "$PB_ADAPTERS/ratios.py" "$PB_OUT"
