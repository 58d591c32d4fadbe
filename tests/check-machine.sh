#!/bin/sh
# supd-init as the first process of a kernel, in a machine of machine.sh, with a
# supd that has something to do: with workers that stop when they are told, and
# with ones that ignore it; it is powered off and rebooted.
#
# What is seen of it is said on the console by machine_init.sh, and comes out as
# TAP here.
. "${0%/*}/machine-lib.sh"

need_machine

make_root() {   # OPTIONS OF THE WORKERS
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
	machine install "$root" "$@" || exit 1
	put_files machine_init.sh /etc/supd.conf "$options"
}

# Runs a machine; the last arguments are lines that its console must have.
try() {         # NAME OPTIONS-OF-WORKERS HOW LINE...
	name=$1 how=$3
	make_root "$2"
	shift 3
	# shellcheck disable=SC2086
	boot "$name: " /sbin/supd-init 120 --grace 1 /bin/sh \
	    /etc/machine_init.sh $how
	for line in "$@"; do
		if grep -q "$line" "$dir/console"; then
			result ok "$name: $line"
		else
			result 'not ok' "$name: $line"
		fi
	done
	judge_end
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
