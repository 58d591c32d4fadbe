#!/bin/sh
# System calls of supd that fail: each that it makes, with each error that it can
# have, the first time, the second and later ones; in a start, a reload, a crash
# with a parent and without one, an upgrade, and where the parent starts another
# one.  tests/inject.c makes one of them fail and says what must hold.
#
#   inject.sh                   all of them
#   INJECT_SECONDS=N            so many as there is time for, chosen by
#   INJECT_SEED=N               a seed (default: 1)
#   INJECT_PHASES='PHASE…'      of these phases only
#   INJECT_JOBS=N               so many at once (default: 2 for each processor)
#   inject.sh CASE PHASE CALL ERROR OCCURRENCE      for this script itself
#
# Where nobody may be traced, as in some containers, it is skipped.
set -u
export LC_ALL=C

inject=${top_builddir:-.}/tests/inject
phases=${INJECT_PHASES:-start reload crash alone upgrade kill}

if [ "${1:-}" = CASE ]; then
	shift
	[ "$(date +%s)" -lt "$INJECT_END" ] || exit 0
	log=$directory/$(echo "$*" | tr ' ' -)
	result=ok
	if ! CMOCKA_MESSAGE_OUTPUT=stdout "$inject" "$@" >"$log" 2>&1; then
		result='not ok'
	elif grep -q SKIPPED "$log"; then
		result=unmet
	fi
	echo "$result $*" >>"$directory/results"
	exit 0
fi

# One that is no child of strace, as supd is none.
can_trace() {
	sleep 60 &
	timeout 0.2 strace -o /dev/null -p $! 2>/dev/null
	status=$?
	kill $!
	[ "$status" -eq 124 ]
}

# CALL ERROR…: what its manual page lists and can be had here.  What is not named
# cannot fail (getpid), does what was asked for though it says that it failed
# (close), would not fail in this way (brk returns where it was), or fails for
# ever if it does (a signal to a process that is another user's by now).
errors() {
	cat <<'EOF'
accept4 EMFILE ENFILE ECONNABORTED ENOMEM EAGAIN EPERM
access EACCES
bind EADDRINUSE EACCES ENOMEM
bpf EPERM ENOMEM
chdir EACCES ENOMEM
chmod EPERM EIO
clone EAGAIN ENOMEM
close_range ENOSYS ENOMEM
connect ECONNREFUSED EAGAIN EACCES
epoll_create1 EMFILE ENFILE ENOMEM
epoll_ctl ENOMEM ENOSPC
epoll_wait EINTR
execveat ENOMEM EACCES ENOENT E2BIG EMFILE
faccessat2 EACCES ENOSYS ENOMEM
fallocate EOPNOTSUPP ENOSPC EINTR
fcntl EMFILE
fdatasync EIO ENOSPC
flock ENOLCK EINTR ENOMEM
fstatfs EIO ENOSYS
fsync EIO ENOSPC
ftruncate EIO EINTR
getdents64 ENOENT ENOMEM
getrandom EINTR ENOSYS
getsid EPERM
getsockname ENOBUFS
getsockopt ENOPROTOOPT ENOMEM
inotify_add_watch ENOSPC ENOMEM
inotify_init1 EMFILE ENFILE ENOMEM
kill EPERM
listen EADDRINUSE
memfd_create EMFILE ENFILE ENOMEM
mkdir EACCES ENOSPC EROFS
mmap ENOMEM
mprotect ENOMEM
newfstatat EACCES ENOMEM EIO
openat EMFILE ENFILE ENOMEM EACCES ENOENT
pidfd_open EMFILE ENOMEM ESRCH
pipe2 EMFILE ENFILE
poll ENOMEM EINTR
prctl EINVAL
pread64 EIO EINTR
prlimit64 EPERM
pwrite64 ENOSPC EIO EINTR
read EAGAIN EINTR EIO
readlink EACCES ENOMEM ENOENT
recvfrom ECONNRESET EAGAIN ENOMEM EINTR
recvmsg EAGAIN ENOMEM EINTR
rename EACCES ENOSPC
sendmsg EAGAIN ENOBUFS ECONNREFUSED ENOMEM ETOOMANYREFS
sendto EPIPE EAGAIN ENOBUFS EINTR
setsockopt ENOMEM EPERM ENOPROTOOPT
shutdown ENOTCONN
sigaltstack ENOMEM
signalfd4 EMFILE ENOMEM
socket EMFILE ENFILE ENOBUFS EACCES
timerfd_create EMFILE ENOMEM
unlink EACCES EROFS
waitid ECHILD EINTR
write EAGAIN ENOSPC EPIPE EIO
writev EIO
EOF
}

# Of so many occurrences the first, the second, and some later ones.
cases() {       # PHASE
	errors | awk -v phase="$1" '
	NR == FNR { errors[$1] = $0; next }
	!($1 in errors) || NF != 3 || $2 !~ /^[0-9]+$/ { next }
	{
		count = split(errors[$1], list, " ")
		for (i = 2; i <= count; i++) {
			for (n = 1; n < $3; n *= 2)
				print phase, $1, list[i], $2 + n - 1
			print phase, $1, list[i], $2 + $3 - 1
		}
	}' - "$directory/calls.$1"
}

# What supd calls where nothing fails.
find_cases() {
	for phase in $phases; do
		"$inject" "$phase" >"$directory/calls.$phase" \
		    2>"$directory/err.$phase" || : >"$directory/failed.$phase" &
	done
	wait
	for phase in $phases; do
		cases "$phase"
		[ -f "$directory/failed.$phase" ] || continue
		echo "not ok $phase, without a fault" >>"$directory/results"
		cat "$directory/calls.$phase" "$directory/err.$phase" \
		    >"$directory/$phase,-without-a-fault"
	done >"$directory/cases"
}

shuffle() {
	awk -v seed="${INJECT_SEED:-1}" 'BEGIN { srand(seed) }
	    { print rand(), $0 }' | sort -n | cut -d ' ' -f 2-
}

# As TAP; with what a case said that has failed.
report() {
	while read -r result name; do
		[ "$result" != unmet ] || continue
		number=$((number + 1))
		if [ "$result" = ok ]; then
			echo "ok $number - $name"
			continue
		fi
		name=${name#ok }
		echo "not ok $number - $name"
		tail -n 40 "$directory/$(echo "$name" | tr ' ' -)" |
			sed 's/^/# /'
	done
}

# Each call once, in order, and what it can have.
check_errors() {
	errors | LC_ALL=C sort -c -u -k 1,1 2>&1
	errors | grep -v -E '^[a-z0-9_]+( E[A-Z0-9]+)+$'
}

directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
trap 'exit 130' INT TERM HUP
INJECT_END=$(($(date +%s) + ${INJECT_SECONDS:-86400}))
export directory INJECT_END

check_errors >"$directory/errors,-the-table-of-them"
if [ -s "$directory/errors,-the-table-of-them" ]; then
	echo 'not ok errors, the table of them' >"$directory/results"
else
	echo 'ok errors, the table of them' >"$directory/results"
fi
if ! can_trace; then
	number=0
	report <"$directory/results"
	echo 1..2
	echo 'ok 2 # SKIP there is no strace, or it may not trace'
	exit 0
fi
find_cases
shuffle <"$directory/cases" |
	xargs -n 4 -P "${INJECT_JOBS:-$(($(nproc) * 2))}" sh "$0" CASE
number=0
report <"$directory/results"
echo "1..$number"
echo "# of $(grep -c . "$directory/cases") cases;" \
    "$(grep -c '^unmet' "$directory/results") made no such call"
! grep -q '^not' "$directory/results"
