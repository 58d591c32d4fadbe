#!/bin/sh
# What check-machine.sh has done in a machine whose first process is supd-init:
# it becomes supd, and beside it, as an orphan, somebody who uses the machine.
#
#   machine_init.sh HOW...
#
# HOW, all of which are: `serve` (reloads under load), `kill` (also kills supd
# then, and lets it die at once when it is started again), `orphans`, `stubborn`
# (leaves one that ignores SIGTERM), and at last `term` or `int`, the signal that
# ends it.
. /etc/machine_judge.sh

workers_ready() {
	supctl status web --json 2>/dev/null | grep -q '"ready": *2'
}

no_zombies() {
	! grep -qs '^State:.*Z' /proc/[0-9]*/status
}

# As files of /proc; a worker has the name of its program.
worker_pids() {
	grep -s -l -x web /proc/[0-9]*/comm
}

# It crashes as long as there is this file, which has a line for each time.
crash_loop() {
	before=$(worker_pids)
	: >/run/crashes
	read -r children </proc/1/task/1/children
	for pid in $children; do
		read -r name <"/proc/$pid/comm"
		[ "$name" != supd ] || kill -s KILL "$pid"
	done
	until_true grep -q 4 /run/crashes
	judge 'supd is started again and again'
	rm /run/crashes
	until_true workers_ready
	judge 'supd is back'
	[ -n "$before" ] && [ "$(worker_pids)" = "$before" ]
	judge 'the workers are the same'
}

serve() {
	until_true workers_ready
	judge 'it serves'
	loadgen --rate 100 --duration 60 --until-file /run/enough \
	    127.0.0.1:8080 >/run/load &
	load=$!
	cp /usr/bin/worker_2 /usr/bin/web.new && mv /usr/bin/web.new \
	    /usr/bin/web && supctl reload web --version 2
	judge 'it is reloaded under load'
	[ "$1" != kill ] || crash_loop
	: >/run/enough
	wait "$load"
	judge 'no request failed'
	grep -E '^[12] |failed' /run/load
}

orphans() {
	echo 40000 >/proc/sys/kernel/threads-max
	printf 'orphans 10000\nexit 0\n' | init_child >/run/orphans
	[ "$(grep -c '^ok$' /run/orphans)" -eq 2 ] &&
	    ! grep 'was not reaped' /run/orphans
	judge '10000 orphans are reaped'
	until_true no_zombies
	judge 'there are no zombies'
}

pss_kib() {
	while read -r name kib _; do
		[ "$name" != Pss: ] || echo "$kib"
	done </proc/1/smaps_rollup
}

use() {
	for how in "$@"; do
		case $how in
		serve | kill) serve "$how" ;;
		orphans) orphans ;;
		stubborn) (trap '' TERM && exec sleep 100 &) ;;
		esac
	done
	grep -q '^cgroup2' /proc/mounts && [ -c /dev/ptmx ] &&
	    touch /run/mine /dev/shm/mine
	judge 'file systems are mounted'
	[ "$(pss_kib)" -le 300 ]
	judge "its memory is small: $(pss_kib) KiB"
	judge_all
	trap 'echo "machine: ok who is left is told"; exit 0' TERM
	kill -s "$how" 1
	sleep 100 &
	wait
}

if [ -e /run/crashes ]; then
	echo $(($(wc -l </run/crashes) + 1)) >>/run/crashes
	exit 1
fi
[ -e /run/used ] || (use "$@" &)
: >/run/used
exec supd -c /etc/supd.conf
