#!/bin/sh
# Runs fuzz targets for a while each, as TAP.
#
# A target tests/fuzz_NAME starts from the inputs in tests/corpus/NAME; what it
# finds on the way is kept in fuzz-corpus/NAME of the build directory, and is
# where it starts from next time.  An input that breaks it lies beside, as
# fuzz-corpus/NAME-crash-….
#
# $FUZZ_TARGETS names the programs, $FUZZ_SECONDS is the time of each.
set -u
export LC_ALL=C

seconds=${FUZZ_SECONDS:-15}
top=${top_srcdir:-.}

case_count=0
failed=0
for program in $FUZZ_TARGETS; do
	name=${program##*/fuzz_}
	corpus=fuzz-corpus/$name
	mkdir -p "$corpus" || exit 2
	set -- "-max_total_time=$seconds" -timeout=5 -rss_limit_mb=2048 \
	    -print_final_stats=1 "-artifact_prefix=$corpus-"
	[ ! -f "$top/tests/fuzz_$name.dict" ] ||
		set -- "$@" "-dict=$top/tests/fuzz_$name.dict"
	set -- "$@" "$corpus"
	[ ! -d "$top/tests/corpus/$name" ] ||
		set -- "$@" "$top/tests/corpus/$name"

	case_count=$((case_count + 1))
	if output=$("$program" "$@" 2>&1); then
		runs=$(printf '%s\n' "$output" |
		    sed -n 's/^stat::number_of_executed_units: *//p')
		echo "ok $case_count - fuzz_$name, ${runs:-?} runs"
	else
		failed=$((failed + 1))
		echo "not ok $case_count - fuzz_$name"
		printf '%s\n' "$output" | tail -n 60 | sed 's/^/# /'
	fi
done
echo "1..$case_count"
[ "$failed" -eq 0 ]
