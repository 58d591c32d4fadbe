#!/bin/sh
# Checks that nothing lies in the tree without being built, run or shipped:
# every source, header, man page and script is named in Makefile.am, and every
# test program and script also stands in one of the lists of `make check`
# (helpers excepted: they are named below).
#
#   check-lists.sh [DIRECTORY]        default: $top_srcdir or .
set -u
export LC_ALL=C

# Scripts that are no test by themselves.
helpers='tests/runner.sh tests/fuzz.sh tests/bench.sh tests/demo.sh
tests/machine.sh tests/machine-lib.sh tests/machine_init.sh
tests/machine_judge.sh tests/machine_systemd.sh tests/mutants-lib.sh
tests/soak.sh'

top=${1:-${top_srcdir:-.}}
cd "$top" || exit 2

case_count=0
failed=0
report() {      # NAME, PROBLEMS (empty: none)
	case_count=$((case_count + 1))
	if [ -z "$2" ]; then
		echo "ok $case_count - $1"
	else
		failed=$((failed + 1))
		echo "not ok $case_count - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
	fi
}

# A word of Makefile.am.
named() {
	grep -q -E "(^|[[:space:]])$1([[:space:]]|\$)" Makefile.am
}

check_named() { # GLOB…
	for file in "$@"; do
		[ -e "$file" ] || continue
		named "$(echo "$file" | sed 's/[.]/[.]/g')" ||
			echo "$file: not in Makefile.am"
	done
}

# The value of a list: `NAME =` and the lines it goes on for.
list() {
	awk -v name="$1" '
	$1 == name && $2 ~ /^\+?=$/ { on = 1 }
	on { print }
	on && !/\\$/ { on = 0 }' Makefile.am
}

check_run() {
	lists=$(list UNIT_TESTS; list HYGIENE_TESTS; list MODEL_TESTS
	    list MODEL_CHECKS; list END_TO_END_TESTS; list ROLLOUT_TESTS
	    list MACHINE_TESTS; list INJECT_TESTS)
	for file in tests/test_*.c tests/*.sh; do
		[ -e "$file" ] || continue
		case $helpers in
		*"$file"*) continue ;;
		esac
		name=${file##*/}
		name=${name%.c}
		echo "$lists" | grep -q -E "/$name([[:space:]]|\$)" ||
			echo "$file: in none of the lists that make check runs"
	done
}

check_there() {
	made=$(list CLEANFILES)
	tr -s '[:space:]' '\n' <Makefile.am |
	    grep -x -E '(src|include|tests)/[a-z0-9_.-]+[.](c|h|sh|[1-8])' |
	    sort -u | while read -r file; do
		case $made in
		*"$file"*) continue ;;
		esac
		[ -e "$file" ] || echo "$file: in Makefile.am, but not there"
	done
}

report "sources and headers are built" \
    "$(check_named src/*.[ch] src/*.varlink include/*.h tests/*.[ch])"
report "man pages are installed" "$(check_named src/*.[1-8])"
report "scripts are shipped" "$(check_named tests/*.sh)"
report "units are shipped" "$(check_named units/*)"
report "tests are run" "$(check_run)"
report "what is named is there" "$(check_there)"
echo "1..$case_count"
[ "$failed" -eq 0 ]
