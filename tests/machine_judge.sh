# Shared by machine_init.sh and machine_systemd.sh, which source it: says on the
# console by a line `machine: ok WHAT` what is as it should be, by `machine: not
# ok WHAT` what is not, and at last, if all is well, `machine: passed`.
set -u
passed=1

judge() {       # WHAT; the exit status before says how it was
	if [ "$?" -eq 0 ]; then
		echo "machine: ok $1"
	else
		echo "machine: not ok $1"
		passed=0
	fi
}

judge_all() {
	[ "$passed" -eq 0 ] || echo 'machine: passed'
}

# Tries for 30 s: nothing tells when it is so.
until_true() {  # COMMAND...
	tries=300
	until "$@"; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.1
	done
}
