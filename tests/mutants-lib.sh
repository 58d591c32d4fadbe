# Shared by mutants.sh and mutants-engine.sh, which source it: breaks a module
# on purpose, one line at a time, and sees whether the program that checks it
# notices.  Each mutant is a copy of the modules in which exactly one line was
# replaced; a replacement that no longer applies is a failure too.  Prints TAP,
# with what caught the mutant.
#
# With MUTANTS=K/N in the environment only each N-th is tried, from the K-th on;
# that the others still apply is looked at all the same.
#
# Who sources it defines
#   play        runs $bench/program by limited, to $bench/log; anything but 0
#               has noticed
#   caught_by   says in a few words what $bench/log says
#   mutants     calls mutant as often as it likes
# and calls begin, compile_all, try_all.  As many mutants are tried at a time as
# there are processors, each on a bench of its own.
set -u
export LC_ALL=C

report() {      # ok|'not ok', NAME
	echo "$1 - $2"
}

compile() {     # SOURCE OBJECT
	"$cc" -std=gnu17 -O2 -w -D_GNU_SOURCE -iquote include -iquote src \
	    -iquote tests -c "$1" -o "$2"
}

compile_all() { # DIRECTORY, SOURCE...
	directory=$1
	shift
	for source; do
		name=${source##*/}
		compile "$source" "$work/$directory/${name%.c}.o" || exit 2
	done
}

# begin [DIRECTORY [PART OF A NAME]]: only mutants whose name has that part.
begin() {
	top=${1:-${top_srcdir:-.}}
	only=${2:-}
	cc=${CC:-gcc}
	mutant_count=0
	share=${MUTANTS:-1/1}
	top=$(cd "$top" && pwd) || exit 2
	work=$(mktemp -d "${TMPDIR:-/tmp}/mutants.XXXXXX") || exit 2
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM HUP
	cd "$top" || exit 2
	mkdir "$work/tests" "$work/good" "$work/taken"
}

build() {       # OBJECT...: those of the modules
	"$cc" "$work"/tests/*.o "$@" $libraries -o "$bench/program" \
	    >"$bench/log" 2>&1
}

# What was not changed has to pass.
try_good() {
	if build "$work"/good/*.o && play; then
		report ok "nothing is broken"
		return
	fi
	report 'not ok' "nothing is broken"
	tail -n 120 "$bench/log" | sed 's/^/# /'
}

# What does not end is stopped by the processor's time, as the clock's depends on
# what else runs.  It ends by SIGXCPU then.
limited() {     # SECONDS COMMAND…
	(
		ulimit -S -t "$1"
		shift
		exec "$@"
	)
}

# Another bench may have it already.
is_taken() {    # NAME
	case $1 in
	*"$only"*) ! mkdir "$work/taken/$1" 2>"$bench/log" ;;
	*) true ;;
	esac
}

is_chosen() {
	[ $((mutant_count % ${share#*/})) -eq $((${share%/*} % ${share#*/})) ]
}

# mutant NAME MODULE LINE REPLACEMENT: LINE stands there once, but for blanks.
mutant() {
	mutant_count=$((mutant_count + 1))
	is_taken "$1" && return
	if ! awk -v line="$3" -v new="$4" '
	{
		text = $0
		gsub(/^[ \t]+|[ \t]+$/, "", text)
		if (text == line) {
			found++
			$0 = new
		}
		print
	}
	END { exit found != 1 }' "src/$2.c" >"$bench/$2.c"; then
		report 'not ok' "$1: does not apply to $2.c"
		return
	fi
	is_chosen || return 0
	if ! compile "$bench/$2.c" "$bench/$2.o" ||
	    ! build "$bench/$2.o" $(others "$2"); then
		report 'not ok' "$1: does not compile"
		return
	fi
	play
	status=$?
	case $status in
	0) report 'not ok' "$1: nobody noticed" ;;
	152) report 'not ok' "$1: the check does not end" ;;
	*) report ok "$1: $(caught_by "$status")" ;;
	esac
}

others() {      # MODULE
	for object in "$work"/good/*.o; do
		[ "${object##*/}" = "$1.o" ] || echo "$object"
	done
}

work_at() {     # BENCH
	bench=$work/bench.$1
	mkdir "$bench"
	[ "$1" -ne 1 ] || try_good
	mutants
}

try_all() {
	count=$(getconf _NPROCESSORS_ONLN)
	for number in $(seq "$count"); do
		work_at "$number" >"$work/said.$number" &
	done
	wait
	cat "$work"/said.* | awk '
	{ failed += /^not ok/ }
	/^(not )?ok/ { sub(/ok/, "ok " ++count) }
	{ print }
	END { print "1.." count; exit failed != 0 }'
}
