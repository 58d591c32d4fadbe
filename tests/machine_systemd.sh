#!/bin/sh
# What check-systemd.sh has done in a machine whose first process is systemd: the
# life of supd.service, with users.
. /etc/machine_judge.sh

group=/sys/fs/cgroup/system.slice/supd.service

show() {        # PROPERTY
	systemctl show -P "$1" supd
}

# All but supd itself, in one line.
workers() {
	main=$(show MainPID)
	while read -r pid; do
		[ "$pid" = "$main" ] || printf '%s ' "$pid"
	done <"$group/cgroup.procs"
}

# Since this one was the main process.
is_anew() {     # PID
	main=$(show MainPID)
	[ "$main" != 0 ] && [ "$main" != "$1" ] &&
	    [ "$(show SubState)" = running ]
}

in_charge() {   # REVISION
	supctl status web --json | tr -d ' ' |
	    grep -q "\"revision\":$1,.*\"rollout\":null"
}

start() {
	systemctl start supd
	judge 'it starts'
	show StatusText | grep -q '^1 service, 2 of 2 workers ready'
	judge 'and is ready when its workers are'
}

use() {
	loadgen --rate 50 --duration 60 --until-file /run/enough \
	    127.0.0.1:8080 >/run/load &
	load=$!
}

install() {     # BUILD
	cp "/usr/bin/$1" /usr/bin/web.new && mv /usr/bin/web.new /usr/bin/web
}

reload() {
	install web_2
	systemctl reload supd && until_true in_charge 2
	judge 'it reloads under load'
	echo nonsense >/etc/supd/conf.d/bad.conf
	! systemctl reload supd
	judge 'a bad configuration is refused'
	rm /etc/supd/conf.d/bad.conf
}

outlives() {    # REVISION WHAT COMMAND...
	revision=$1 what=$2 before=$(workers) main=$(show MainPID)
	shift 2
	"$@"
	until_true is_anew "$main"
	judge "after $what there is another supd"
	[ "$(workers)" = "$before" ]
	judge "after $what its workers are the same"
	until_true in_charge "$revision"
	judge "after $what it knows what runs"
}

restart_within_a_rollout() {
	install web_1
	systemctl reload supd && ! in_charge 3 && systemctl restart supd &&
	    until_true in_charge 3
	judge 'a rollout goes on after a restart'
}

fed_since() {   # WHEN, as the watchdog was fed last
	[ "$(show WatchdogTimestampMonotonic)" != "$1" ]
}

# What the parent is to it passes over to the next one, which is this process.
upgrade() {
	before=$(workers) main=$(show MainPID)
	supctl upgrade && [ "$(show MainPID)" = "$main" ] &&
	    [ "$(workers)" = "$before" ]
	judge 'it is upgraded'
	fed=$(show WatchdogTimestampMonotonic)
	until_true fed_since "$fed" && [ "$(show MainPID)" = "$main" ]
	judge 'its watchdog is fed after that'
}

two_others() {  # PIDS
	[ "$(workers | wc -w)" -eq 2 ] && [ "$(workers)" != "$1" ] &&
	    show StatusText | grep -q '^1 service, 2 of 2 workers ready'
}

replace_worker() {
	before=$(workers)
	kill -s KILL "${before%% *}"
	until_true two_others "$before"
	judge 'a worker that this supd has not started is replaced'
}

# $main is 0 if there is none, and kill(1) takes that for this process.
kill_main() {   # SIGNAL
	[ "$main" -gt 0 ] && kill -s "$1" "$main"
}

stop() {
	systemctl stop supd
	judge 'it stops'
	[ "$(show ActiveState) $(show NFileDescriptorStore)" = 'inactive 0' ] &&
	    [ ! -e "$group" ]
	judge 'nothing is left of it'
}

echo 0 >/proc/sys/kernel/printk
echo                    # after what systemd has told the terminal
start
use
reload
upgrade
outlives 2 'kill -9' kill_main KILL
outlives 2 'a restart' systemctl restart supd
restart_within_a_rollout
outlives 3 'silence' kill_main STOP
: >/run/enough
wait "$load"
judge 'no request failed'
cat /run/load
stop

start
supctl shutdown && until_true [ ! -e "$group" ]
judge 'supctl shutdown ends it'
[ "$(show ActiveState)" = inactive ]
judge 'and it is not started again'

# It dies while ExecStop= asks what is to become of it.
start
main=$(show MainPID)
systemctl stop --no-block supd
kill_main KILL
until_true [ ! -e "$group" ]
judge 'what is left where supd could not stop it is killed'

systemctl start supd.socket
loadgen --requests 1 127.0.0.1:8080 >/run/load
judge 'a connection starts it, and is served'
outlives 3 'kill -9 with a socket of systemd' kill_main KILL
replace_worker
systemctl stop supd.socket
stop
judge_all
