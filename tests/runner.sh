#!/bin/sh
# Runs test programs and adds up what they say.
#
# Every program prints TAP: a plan (`1..N`) and N lines `ok …` or `not ok …`;
# it may print several such groups, as cmocka does.  A program that crashes,
# is too slow, exits with an error without saying what failed, or prints
# another number of results than it planned has failed, whatever else it said.
# One line per program goes to standard output, then the output of those that
# failed, and at last `N passed, N failed`.
#
#   runner.sh [-l DIRECTORY] [-j JOBS] [-t SECONDS] PROGRAM… [-t SECONDS …]
#
# -l is where the programs' output is kept (default: test-logs).  The others are
# of the programs that follow, up to the next option, before which these end: -t
# is the time limit of each, -j how many run at a time (default: 1).  If
# $TEST_RESULTS names a file, a line `PASSED FAILED SKIPPED` is appended to it.
# Exits with 0 if something passed and nothing failed.
set -u
export LC_ALL=C CMOCKA_MESSAGE_OUTPUT=TAP

log_dir=test-logs
limit=60
jobs=1
lanes=
child=

work=$(mktemp -d "${TMPDIR:-/tmp}/runner.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
# A ^C reaches only us: timeout(1) puts the program in a group of its own, and
# lanes ignore it.
trap 'test -z "$lanes" || kill $lanes 2>/dev/null; wait; exit 130' INT TERM HUP

# Reads a log; prints PASSED FAILED SKIPPED and what is wrong with it as TAP.
count_results() {
	awk '
	/^1\.\.[0-9]+/ { planned += substr($0, 4) + 0; plans++; next }
	/^(not )?ok([ \t].*)?#[ \t]*[Ss][Kk][Ii][Pp]/ { skipped++; next }
	/^(not )?ok([ \t].*)?#[ \t]*[Tt][Oo][Dd][Oo]/ { failed++; next }
	/^ok([ \t]|$)/ { passed++; next }
	/^not ok([ \t]|$)/ { failed++; next }
	/^Bail out!/ { bailed = 1 }
	END {
		seen = passed + failed + skipped
		if (!plans)
			wrong = "no plan"
		else if (planned != seen)
			wrong = "planned " planned ", ran " seen
		else if (bailed)
			wrong = "bailed out"
		print passed + 0, failed + 0, skipped + 0, wrong
	}' "$1"
}

why_it_ended() {
	case $1 in
	124) echo "took longer than $limit s" ;;
	125|126|127) echo "could not be run" ;;
	137) echo "killed (SIGKILL, or took longer than $limit s)" ;;
	129|13[0-9]|14[0-9]|15[0-9]) echo "killed by signal $(($1 - 128))" ;;
	*) echo "exit status $1" ;;
	esac
}

run() {         # PROGRAM
	name=${1##*/}
	log=$log_dir/$name.log
	begin=$(date +%s)
	# A shell ignores INT and QUIT in what it runs in the background, and
	# that is inherited.
	env --default-signal=INT,QUIT timeout -k 5 "$limit" "$1" \
	    >"$log" 2>&1 </dev/null &
	child=$!
	wait "$child"
	status=$?
	child=

	# shellcheck disable=SC2046
	set -- $(count_results "$log")
	ok=$1 not_ok=$2 skip=$3
	shift 3
	wrong=$*
	# A program may exit with 1 because of its `not ok` lines; anything
	# else it must explain.
	if [ "$status" -ge 124 ] ||
	    { [ "$status" -ne 0 ] && [ "$not_ok" -eq 0 ]; }; then
		wrong=$(why_it_ended "$status")
	fi
	[ -z "$wrong" ] || not_ok=$((not_ok + 1))

	echo "$ok $not_ok $skip $name" >>"$work/results"
	text="$ok passed"
	[ "$not_ok" -eq 0 ] || text="$text, $not_ok FAILED"
	[ "$skip" -eq 0 ] || text="$text, $skip skipped"
	[ -z "$wrong" ] || text="$text ($wrong)"
	printf '%-28s %s, %s s\n' "$name" "$text" $(($(date +%s) - begin))
}

# One of those that run the programs of a group; each takes what no other has.
run_lane() {
	trap - EXIT
	trap 'test -z "$child" || kill "$child" 2>/dev/null; exit 130' TERM
	number=0
	while read -r program; do
		number=$((number + 1))
		mkdir "$work/taken/$number" 2>/dev/null || continue
		run "$program"
	done <"$work/group"
}

run_group() {
	[ -s "$work/group" ] || return 0
	mkdir "$work/taken"
	for lane in $(seq "$jobs"); do
		run_lane &
		lanes="$lanes $!"
	done
	wait
	lanes=
	rm -r "$work/taken" "$work/group"
}

# What failed first, then the end of the log, where a crash shows.
show_failure() {
	echo
	echo "==> $1"
	grep -A 8 '^not ok' "$log_dir/$1.log" | grep -v '^ok' | head -n 80
	echo "--- end of $log_dir/$1.log"
	tail -n 25 "$log_dir/$1.log"
}

while [ $# -gt 0 ]; do
	case $1 in
	-*)
		run_group
		case $1 in
		-l) log_dir=$2 ;;
		-j) jobs=$2 ;;
		-t) limit=$2 ;;
		*) echo "runner.sh: unknown option $1" >&2; exit 2 ;;
		esac
		shift 2
		;;
	*)
		mkdir -p "$log_dir" || exit 2
		printf '%s\n' "$1" >>"$work/group"
		shift
		;;
	esac
done
run_group

passed=0 failed=0 skipped=0
touch "$work/results"
while read -r ok not_ok skip name; do
	passed=$((passed + ok))
	failed=$((failed + not_ok))
	skipped=$((skipped + skip))
	[ "$not_ok" -eq 0 ] || show_failure "$name"
done <"$work/results"
[ -z "${TEST_RESULTS:-}" ] ||
	echo "$passed $failed $skipped" >>"$TEST_RESULTS"
[ "$skipped" -eq 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
