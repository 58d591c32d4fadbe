#!/bin/sh
# Checks the checks: each is shown a small tree with one thing wrong in it and
# has to say so, and the same tree without it and has to be content.  A check
# that cannot fail proves nothing.
set -u
export LC_ALL=C

here=$(cd "${top_srcdir:-.}/tests" && pwd) || exit 2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
# The runner of this very test may pass on where results go.
unset TEST_RESULTS

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

# Runs a command; it must succeed, or fail and print a line with TEXT.
accepts() {     # NAME COMMAND…
	name=$1
	shift
	if output=$("$@" 2>&1); then
		report "$name" ""
	else
		report "$name" "$output"
	fi
}

refuses() {     # NAME TEXT COMMAND…
	name=$1 text=$2
	shift 2
	if output=$("$@" 2>&1); then
		report "$name" "it found nothing wrong"
	elif printf '%s\n' "$output" | grep -q -F -e "$text"; then
		report "$name" ""
	else
		report "$name" "expected '$text' in: $output"
	fi
}

# --- the style

plant() {       # writes tree/src/worker.c; the body comes by standard input
	rm -rf "$work/tree"
	mkdir -p "$work/tree/src" "$work/tree/include" "$work/tree/tests"
	{
		printf '/*\n * A file.\n */\n#include <stdint.h>\n\n'
		cat
	} >"$work/tree/src/worker.c"
}

lines() {       # N
	i=0
	while [ "$i" -lt "$1" ]; do
		printf '\tx++;\n'
		i=$((i + 1))
	done
}

function_of() { # N: a function of N lines, braces included
	printf 'int\nf(int x)\n{\n'
	lines $(($1 - 3))
	printf '\treturn x;\n}\n'
}

style() {
	sh "$here/check-style.sh" "$work/tree"
}

function_of 70 | plant
accepts "style: a function of 70 lines" style
function_of 71 | plant
refuses "style: a function of 71 lines" "f() has 71 lines" style

for n in 1 2 3 4 5 6 7 8; do function_of 5"$n"; done | plant
accepts "style: a file of under 500 lines" style
for n in 1 2 3 4 5 6 7 8; do function_of 65; done | plant
refuses "style: a file of over 500 lines" "longer than 500 lines" style

printf 'int\nf(int x)\n{\n\tif (x)\n\t\tif (x)\n\t\t\tif (x)\n\t\t\t\tx++;\n}\n' |
    plant
accepts "style: three levels of nesting" style
printf 'int\nf(void)\n{\n\tfor (;;)\n\t\tfor (;;)\n\t\t\tfor (;;)\n\t\t\t\tfor (;;)\n\t\t\t\t\tx++;\n}\n' |
    plant
refuses "style: four levels of nesting" "nests 4 deep" style

printf '%0100d;\n' 0 | plant
refuses "style: 101 columns" "over 100 columns" style
printf '\t/* %s */\n' 'größer … und so weiter, über und über: äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäö' |
    plant
accepts "style: a character is a column" style

printf 'int x; // no\n' | plant
refuses "style: a // comment" 'a `//` comment' style
printf 'const char *x = "http://x"; /* http://x */\n' | plant
accepts "style: // in quotes and in comments" style

printf 'int f(void)\n{\n}\n' | plant
refuses "style: the type beside the name" "begins a line" style
printf 'int\nf(void) {\n}\n' | plant
refuses "style: the brace of a function" "a line of its own" style
printf 'struct x {\n        int y;\n};\n' | plant
refuses "style: blanks that indent" "where tabs belong" style
printf 'int x; \n' | plant
refuses "style: a blank at the end" "ends in a blank" style
printf 'typedef struct x x;\n' | plant
refuses "style: a typedef" "a typedef for a struct" style
printf '#if 0\n#endif\n' | plant
refuses "style: dead code" "dead code" style
printf 'int x;' | plant
refuses "style: the last line" "does not end" style
printf 'int x;\n' | plant
sed -i 1,3d "$work/tree/src/worker.c"
refuses "style: no essay" "does not open with an essay" style

{ function_of 70; printf '\n/*\n *\n */\n'; } | plant
cp "$work/tree/src/worker.c" "$work/tree/src/supd_init.c"
for part in a b c d; do
	cp "$work/tree/src/worker.c" "$work/tree/src/supd_init_$part.c"
done
accepts "style: a supd-init of 365 lines of code" style
cp "$work/tree/src/worker.c" "$work/tree/src/supd_init_e.c"
refuses "style: a supd-init of 438" "supd_init*.c: 438 lines" style

# --- the layers; of the real tree, so that every module of the table is there

layers() {
	sh "$here/check-layers.sh" "$work/copy"
}

copy_tree() {
	rm -rf "$work/copy"
	mkdir "$work/copy"
	cp -r "$here/../src" "$here/../include" "$work/copy" &&
	    chmod -R u+w "$work/copy"
}

append() {      # FILE LINE
	printf '%s\n' "$2" >>"$work/copy/$1"
}

copy_tree
append src/worker.c '#include "spawn.h"'
refuses "layers: an include that points upward" "spawn.h (layer" layers
copy_tree
append src/worker.c '#include <ev.h>'
refuses "layers: <ev.h> outside the reactor" "only src/reactor.c" layers
copy_tree
append src/supd.c '#include <curl/curl.h>'
refuses "layers: <curl/curl.h> outside supprobe" "only src/supprobe_http.c" layers
copy_tree
append src/worker.c '#include <unistd.h>'
refuses "layers: a system header in a pure module" "includes <unistd.h>" layers
copy_tree
append src/worker.c 'static long x(void) { return time(0); }'
refuses "layers: a clock in a pure module" "calls time()" layers
copy_tree
cp "$work/copy/src/worker.c" "$work/copy/src/stranger.c"
refuses "layers: a module without a layer" "stranger.c: has no layer" layers
copy_tree
rm "$work/copy/src/worker.c" "$work/copy/include/worker.h"
refuses "layers: a layer without a module" "worker: in the table" layers
copy_tree
append include/worker.h 'struct unknown x;'
refuses "layers: a header that does not compile" "include/worker.h" layers
copy_tree
sed -i 's/SUPD_WORKER_H/WORKER_H/' "$work/copy/include/worker.h"
refuses "layers: a guard of another name" "SUPD_WORKER_H" layers
copy_tree
sed -i 's/#include "worker.h"/#include <string.h>\n&/' \
    "$work/copy/src/worker.c"
refuses "layers: the own header not first" "must be included first" layers

# --- the lists

tree_lists() {
	sh "$here/check-lists.sh" "$work/copy"
}

copy_tree
mkdir "$work/copy/tests"
printf 'x_SOURCES = \\\n' >"$work/copy/Makefile.am"
(cd "$work/copy" && ls src/* include/*) | sed 's/^/\t/; s/$/ \\/' \
    >>"$work/copy/Makefile.am"
accepts "lists: all is named" tree_lists
: >"$work/copy/src/stranger.c"
refuses "lists: a source that is not built" "src/stranger.c" tree_lists
rm "$work/copy/src/stranger.c"
printf '\ntests_test_x_SOURCES = tests/test_x.c\n' >>"$work/copy/Makefile.am"
: >"$work/copy/tests/test_x.c"
refuses "lists: a test that is not run" "tests/test_x.c: in none" tree_lists
printf '\nUNIT_TESTS = \\\n\ttests/test_x\n' >>"$work/copy/Makefile.am"
accepts "lists: a test that is run" tree_lists

# --- the man pages

docs() {
	PRINT_KEYS="$work/keys" SUPCTL="$work/supctl" \
	    sh "$here/check-docs.sh" "$work/tree"
}

page() {        # NAME SECTION; the rest comes by standard input
	{
		printf '.Dd January 1, 2026\n.Dt %s %s\n.Os\n' \
		    "$(echo "$1" | tr '[:lower:]' '[:upper:]')" "$2"
		printf '.Sh NAME\n.Nm %s\n.Nd a page\n.Sh DESCRIPTION\n' "$1"
		cat
	} >"$work/tree/src/$1.$2"
}

document() {
	plant </dev/null
	echo 'Text.' | page supd 8
	echo 'Text.' | page supd-init 8
	echo 'Text.' | page supd-worker 7
	echo 'Text.' | page supprobe 8
	printf '.Bl -tag -width x\n.It Cm reload Op Fl -plan\nText.\n.El\n' |
	    page supctl 1
	echo 'f(field_text(object, "name"));' >"$work/tree/src/supctl_x.c"
	echo 'type Service (name: string)' >"$work/tree/src/io.supd.varlink"
	printf '.Ss Services\n.Bl -tag -width x\n.It Cm workers\nDefault: 1.\n.El\n' |
	    page supd.conf 5
}

printf '#!/bin/sh\necho service workers 1\n' >"$work/keys"
printf '#!/bin/sh\necho "  reload [--plan]  text"\n' >"$work/supctl"
chmod +x "$work/keys" "$work/supctl"
document
accepts "docs: all is documented" docs
echo 'echo service user' >>"$work/keys"
refuses "docs: a key without an item" "[service] user" docs
document
sed -i 's/Default: 1/Text/' "$work/tree/src/supd.conf.5"
refuses "docs: a key without its default" "[service] workers" docs
document
sed -i 's/Cm reload/Cm other/' "$work/tree/src/supctl.1"
refuses "docs: a verb without an item" "supctl(1): reload" docs
document
sed -i 's/Fl -plan//' "$work/tree/src/supctl.1"
refuses "docs: an option that is not mentioned" "supctl(1): --plan" docs
document
printf 'f(field_number(object,\n\t"pid"));\n' >>"$work/tree/src/supctl_x.c"
refuses "docs: a field that is not in the interface" "io.supd: pid" docs
document
echo '.Xy' >>"$work/tree/src/supd.8"
refuses "docs: a page with an error" "unknown macro" docs
document
rm "$work/tree/src/supd.8"
refuses "docs: a page that is missing" "supd.8 is missing" docs

# --- the runner

program() {     # writes a test; its commands come by standard input
	{ echo '#!/bin/sh'; cat; } >"$work/program"
	chmod +x "$work/program"
}

run_program() {
	sh "$here/runner.sh" -l "$work/logs" -t 2 "$work/program"
}

echo 'echo 1..2; echo ok 1; echo ok 2' | program
accepts "runner: all is well" run_program
echo 'echo 1..2; echo ok 1; echo not ok 2' | program
refuses "runner: not ok" "1 passed, 1 failed" run_program
echo 'echo 1..2; echo ok 1' | program
refuses "runner: fewer than planned" "planned 2, ran 1" run_program
echo 'echo ok 1' | program
refuses "runner: no plan" "no plan" run_program
echo 'echo 1..1; echo ok 1; exit 3' | program
refuses "runner: an exit status" "exit status 3" run_program
echo 'echo 1..1; echo ok 1; kill -SEGV $$' | program
refuses "runner: a crash" "killed by signal 11" run_program
echo 'echo 1..1; echo ok 1; exec sleep 30' | program
refuses "runner: too slow" "took longer than 2 s" run_program
echo 'echo 1..1; echo "ok 1 # SKIP"' | program
refuses "runner: nothing passed" "0 passed, 0 failed" run_program
rm "$work/program"
refuses "runner: a program that is not there" "could not be run" run_program

# Each of two passes only if the other runs at the same time.
mkfifo "$work/meet"
echo ": >'$work/meet'; echo 1..1; echo ok 1" | program
mv "$work/program" "$work/one"
echo ": <'$work/meet'; echo 1..1; echo ok 1" | program
mv "$work/program" "$work/two"
run_two() {     # OPTION…
	sh "$here/runner.sh" -l "$work/logs" "$@" -t 2 "$work/one" "$work/two"
}
accepts "runner: two at a time" run_two -j 2
refuses "runner: one after the other" "0 passed, 2 failed" run_two

echo "1..$case_count"
[ "$failed" -eq 0 ]
