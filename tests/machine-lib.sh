# Shared by check-machine.sh and check-systemd.sh, which source it: the root
# directory of a machine of machine.sh, $root, and what is said on its console as
# TAP.
set -u
export LC_ALL=C

tests=${top_srcdir:?}/tests
build=${top_builddir:?}
dir=$(mktemp -d "${TMPDIR:-/tmp}/supd-machine.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
root=$dir/root
count=0

result() {      # ok|'not ok' WHAT
	count=$((count + 1))
	echo "$1 $count - $2"
}

skip() {        # WHY
	echo "$1" | sed 's/^/# /'
	echo 'ok 1 # SKIP no machine'
	echo '1..1'
	exit 0
}

machine() {
	sh "$tests/machine.sh" "$@"
}

need_machine() {
	why=$(machine missing) || skip "$why"
}

# What is done there, and a configuration for it.
put_files() {   # SCRIPT CONFIGURATION OPTIONS-OF-WORKERS
	mkdir -p "$root/tmp" "$root/etc" "$root${2%/*}"
	cp "$tests/machine_judge.sh" "$tests/$1" "$root/etc/"
	cat >"$root$2" <<-EOF
	[service web]
	command = /usr/bin/web $3
	listen = 127.0.0.1:8080
	workers = 2
	ready = notify
	min_ready = 500ms
	drain_timeout = 1s
	EOF
}

# All that it says of itself is a result, and $dir/console is left.
boot() {        # PREFIX INIT TIMEOUT_S [ARGUMENT]...
	prefix=$1
	shift
	machine boot "$root" "$@" >"$dir/console"
	status=$?
	sed 's/^/# /' "$dir/console"
	grep -E '^machine: (not )?ok ' "$dir/console" >"$dir/said"
	while read -r line; do
		line=${line#machine: }
		result "${line%%ok *}ok" "$prefix${line#*ok }"
	done <"$dir/said"
}

# How the last one that was booted ended.
judge_end() {
	if [ "$status" -eq 0 ]; then
		result ok "${prefix}passed"
	else
		result 'not ok' "${prefix}machine.sh ended with $status"
	fi
}
