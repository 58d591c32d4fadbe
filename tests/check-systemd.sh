#!/bin/sh
# supd as it is installed, under a real systemd, which is the first process of a
# machine of machine.sh.  It is the host's systemd, if that has one, or that of the
# suite of Debian that SYSTEMD_SUITE names; it is fetched.
#
# What is seen of it is said on the console by machine_systemd.sh, and comes out
# as TAP here.
. "${0%/*}/machine-lib.sh"

from=                   # the root directory that has systemd
if [ -n "${SYSTEMD_SUITE:-}" ]; then
	why=$(machine fetch "$SYSTEMD_SUITE" 2>&1) || skip "$why"
	from=$build/machine/$SYSTEMD_SUITE
fi
need_machine
systemd=$from/usr/lib/systemd
{ [ -x "$systemd/systemd" ] && [ -x "$from/usr/bin/systemctl" ]; } ||
	skip "there is no systemd in $from/"

# All that is a link here is a directory of its own there.  Of a system that was
# fetched all is taken, also its C library: older programs run with that, too.
put_programs() {
	mkdir -p "$root"
	[ -z "$from" ] || cp -a "$from/." "$root" || exit 1
	set -- "$from/usr/bin/systemctl=/usr/bin/systemctl"
	for program in systemd systemd-executor; do
		[ ! -x "$systemd/$program" ] || set -- "$@" \
		    "$systemd/$program=/usr/lib/systemd/$program"
	done
	for program in cat cp grep mv rm sed sh sleep tr wc; do
		set -- "$@" "$(command -v "$program")=/bin/$program"
	done
	for program in loadgen worker=web worker=web_1 worker_2=web_2; do
		set -- "$@" \
		    "$build/tests/${program%=*}=/usr/bin/${program#*=}"
	done
	make -s -C "$build" install-exec DESTDIR="$dir/installed" \
	    >"$dir/log" 2>&1 || exit 1
	for file in $(find "$dir/installed" -type f -perm -100); do
		set -- "$@" "$file=${file#"$dir/installed"}"
	done
	machine install "$root" "$@" || exit 1
}

put_units() {
	units=$root/etc/systemd/system
	mkdir -p "$units/supd.service.d"
	age=new
	[ -n "${SYSTEMD_SUITE:-}" ] ||
		age=$(sed -n 's/^SYSTEMD_AGE = //p' "$build/Makefile")
	cp "$build/units/$age/supd.service" "$units/"
	sed -e 's/^ListenStream=0.*/ListenStream=127.0.0.1:8080/' \
	    -e '/^ListenStream=.\[/d; /^ReusePort/d' \
	    "$tests/../units/supd.socket" >"$units/supd.socket"
	for unit in basic sysinit sockets timers paths slices shutdown; do
		echo '[Unit]' >"$units/$unit.target"
	done
	printf '[Unit]\nWants=test.service\n' >"$units/default.target"
	cat >"$units/test.service" <<-EOF
	[Unit]
	DefaultDependencies=no
	[Service]
	Type=oneshot
	ExecStart=/bin/sh /etc/machine_systemd.sh
	ExecStopPost=/bin/sh -c 'echo o >/proc/sysrq-trigger'
	StandardOutput=file:/dev/ttyS0
	StandardError=file:/dev/ttyS0
	EOF
	# Silence is to be noticed soon; but the machine is slow.
	printf '[Service]\nWatchdogSec=6s\n' >"$units/supd.service.d/test.conf"
}

put_system() {
	mkdir -p "$root/etc/supd/conf.d" "$root/proc" "$root/sys" "$root/dev" \
	    "$root/run" "$root/var/lib"
	echo 'root:x:0:0::/:/bin/sh' >"$root/etc/passwd"
	echo 'root:x:0:' >"$root/etc/group"
	echo '0123456789abcdef0123456789abcdef' >"$root/etc/machine-id"
	echo 'ID=machine' >"$root/etc/os-release"
	cat >"$root/etc/systemd/system.conf" <<-EOF
	[Manager]
	LogTarget=kmsg
	ShowStatus=no
	DefaultStandardOutput=kmsg
	DefaultStandardError=kmsg
	EOF
}

put_programs
put_units
put_system
put_files machine_systemd.sh /etc/supd/supd.conf ''
boot '' /usr/lib/systemd/systemd 240
judge_end
echo "1..$count"
