#!/bin/sh
# supd-init as the first process of a kernel, in a machine of machine.sh, with a
# supd that has something to do: with workers that stop when they are told, and
# with ones that ignore it; it is powered off and rebooted.
#
# What is seen of it is said on the console by machine_init.sh, and comes out as
# TAP here.
set -u
export LC_ALL=C

tests=${top_srcdir:?}/tests
build=${top_builddir:?}
dir=$(mktemp -d "${TMPDIR:-/tmp}/supd-machine.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
count=0

result() {      # ok|'not ok' WHAT
	count=$((count + 1))
	echo "$1 $count - $2"
}

if ! why=$(sh "$tests/machine.sh" missing); then
	echo "$why" | sed 's/^/# /'
	echo 'ok 1 # SKIP no machine'
	echo '1..1'
	exit 0
fi

make_root() {   # OPTIONS OF THE WORKERS
	root=$dir/root
	rm -rf "$root"
	set -- "$1" "$build/supd-init=/sbin/supd-init" \
	    "$build/supd=/usr/sbin/supd" "$build/supctl=/usr/bin/supctl" \
	    "$build/tests/worker=/usr/bin/web" \
	    "$build/tests/worker_2=/usr/bin/worker_2" \
	    "$build/tests/loadgen=/usr/bin/loadgen" \
	    "$build/tests/init_child=/usr/bin/init_child"
	for program in cat cp grep mv rm sh sleep touch wc; do
		set -- "$@" "$(command -v "$program")=/bin/$program"
	done
	options=$1
	shift
	mkdir -p "$root/etc" "$root/tmp"
	sh "$tests/machine.sh" install "$root" "$@" || exit 1
	cp "$tests/machine_init.sh" "$root/etc/"
	cat >"$root/etc/supd.conf" <<-EOF
	[service web]
	command = /usr/bin/web $options
	listen = 127.0.0.1:8080
	workers = 2
	ready = notify
	min_ready = 500ms
	drain_timeout = 1s
	EOF
}

# Runs a machine; the last arguments are lines that its console must have.
try() {         # NAME OPTIONS-OF-WORKERS HOW LINE...
	name=$1 how=$3
	make_root "$2"
	shift 3
	# shellcheck disable=SC2086
	sh "$tests/machine.sh" boot "$root" /sbin/supd-init 120 --grace 1 \
	    /bin/sh /etc/machine_init.sh $how >"$dir/console"
	status=$?
	sed 's/^/# /' "$dir/console"
	grep -E '^machine: (not )?ok ' "$dir/console" >"$dir/said"
	while read -r line; do
		line=${line#machine: }
		result "${line%%ok *}ok" "$name: ${line#*ok }"
	done <"$dir/said"
	for line in "$@"; do
		if grep -q "$line" "$dir/console"; then
			result ok "$name: $line"
		else
			result 'not ok' "$name: $line"
		fi
	done
	if [ "$status" -eq 0 ]; then
		result ok "$name: passed"
	else
		result 'not ok' "$name: machine.sh ended with $status"
	fi
}

try 'polite workers' '' 'kill orphans term' \
    'supd-init: /bin/sh ended with 1; in 200 ms it is started again' \
    'machine: ok who is left is told' 'supd-init: /bin/sh ended with 0' \
    'reboot: Power down'
try 'workers that ignore signals' --ignore-term 'serve stubborn int' \
    'machine: ok who is left is told' \
    'supd-init: killing what SIGTERM has not ended' \
    'supd-init: /bin/sh ended with 0' 'reboot: Restarting system'
echo "1..$count"
