#!/bin/sh
# A virtual machine of our own: Debian's cloud kernel under qemu without
# acceleration, with a root directory of ours as its memory.  So a program can be
# tested as the first process of a kernel, on any host and without privileges.
#
#   machine.sh fetch [SUITE]
#       gets the kernel's package (apt-get download) and unpacks it below
#       $top_builddir/machine; with the name of a suite of Debian also its
#       systemd, and what that needs, into $top_builddir/machine/SUITE
#   machine.sh missing
#       says what is missing for `boot`, and ends with 1; else with 0
#   machine.sh install ROOT PROGRAM[=PATH]...
#       copies programs and the libraries they need into a root directory, by
#       the path they have here, or by PATH
#   machine.sh boot ROOT INIT TIMEOUT_S [ARGUMENT]...
#       boots ROOT with the program that has the path INIT there, and these
#       arguments.  The console is standard output; what it ends with is told by
#       a line on it: exit status 0 if one begins with `machine: passed` and
#       the machine has powered itself off, 1 if not, 124 if time was up
#
# QEMU_OPTIONS in the environment are more options, as `-m 1024`.
set -u
export LC_ALL=C

machine=${top_builddir:?}/machine
mirror=http://deb.debian.org/debian

die() {
	echo "machine: $*" >&2
	exit 1
}

kernel() {
	find "$machine/root/boot" -name 'vmlinuz-*' 2>/dev/null | head -n 1
}

# The package of the newest kernel is named by one that has nothing else.
fetch() {
	[ -z "$(kernel)" ] || return 0
	mkdir -p "$machine" && cd "$machine" || exit 1
	package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
	    sed -n 's/.*Depends: *\(linux-image-[0-9][^ ]*\)$/\1/p')
	[ -n "$package" ] || die "apt knows no linux-image-cloud-amd64"
	apt-get download "$package" || die "cannot fetch $package"
	dpkg -x "$package"_*.deb root.new && mv root.new root &&
	    rm -f "$package"_*.deb
}

# With lists of its own, in $apt: apt's are about the host, and stay so.
apt_apart() {   # COMMAND...
	apt-get -qq -o Dir::Etc::SourceList="$apt/sources" \
	    -o Dir::Etc::SourceParts=/dev/null -o Dir::State="$apt" \
	    -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" \
	    -o APT::Sandbox::User= -o Acquire::Languages=none "$@"
}

# A root directory without units, so that only those of a test run.
fetch_systemd() {       # SUITE
	[ ! -d "$machine/$1" ] || return 0
	new=$machine/$1.new apt=$machine/apt
	trap 'rm -rf "$new" "$apt"' EXIT
	trap 'exit 1' INT TERM
	{ mkdir "$apt" && : >"$apt/status" &&
	    echo "deb $mirror $1 main" >"$apt/sources" &&
	    apt_apart update && apt_apart install -y --download-only \
	    --no-install-recommends systemd; } ||
		die "cannot fetch systemd of $1"
	for package in "$apt"/archives/*.deb; do
		dpkg -x "$package" "$new" || die "cannot unpack $package"
	done
	rm -r "${new:?}/usr/share" "$new/usr/lib/systemd/system" \
	    "$new/usr/lib/systemd/system-generators"
	for directory in bin sbin lib lib64; do
		ln -s "usr/$directory" "$new/$directory"
	done
	mv "$new" "$machine/$1"
}

missing() {
	status=0
	for program in qemu-system-x86_64 cpio; do
		command -v "$program" >/dev/null || {
			echo "machine: there is no $program"
			status=1
		}
	done
	[ -n "$(kernel)" ] || {
		echo "machine: there is no kernel in $machine"
		status=1
	}
	return "$status"
}

copy() {        # ROOT FILE PATH
	{ mkdir -p "$1${3%/*}" && cp -L "$2" "$1$3"; } ||
		die "cannot copy $2"
}

# ldd prints `NAME => PATH (ADDRESS)`, or the path alone of the loader.
install_programs() {    # ROOT PROGRAM[=PATH]...
	root=$1
	shift
	for item in "$@"; do
		file=${item%%=*}
		copy "$root" "$file" "${item#*=}"
		ldd "$file" 2>/dev/null |
		    sed -n 's|^[^/]*\(/[^ ]*\) (0x.*|\1|p' |
		    while read -r library; do
			[ -e "$root$library" ] ||
				copy "$root" "$library" "$library"
		done
	done
}

boot() {        # ROOT INIT TIMEOUT_S [ARGUMENT]...
	root=$1 init=$2 timeout_s=$3
	shift 3
	image=$(mktemp "${TMPDIR:-/tmp}/machine.XXXXXX") || exit 1
	log=$(mktemp "${TMPDIR:-/tmp}/machine.XXXXXX") || exit 1
	trap 'rm -f "$image" "$log"' EXIT
	trap 'exit 1' INT TERM
	(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) >"$image" ||
		die "cannot pack $root"
	# What stands behind -- is for the first process.
	set -- "console=ttyS0 quiet panic=-1 rdinit=$init -- $*"
	# shellcheck disable=SC2086
	{
		timeout -k 5 "$timeout_s" qemu-system-x86_64 -accel tcg \
		    -m 512 -smp 2 -nodefaults -no-user-config -display none \
		    -no-reboot -serial stdio -kernel "$(kernel)" \
		    -initrd "$image" -append "$1" ${QEMU_OPTIONS:-} \
		    </dev/null 2>&1
		echo "machine: qemu ended with $?"
	} | tr -d '\r' | tee "$log"
	if grep -q '^machine: qemu ended with 124$' "$log"; then
		return 124
	fi
	grep -q '^machine: passed' "$log" &&
	    grep -q '^machine: qemu ended with 0$' "$log"
}

case ${1:-} in
fetch)
	fetch || exit 1
	[ $# -eq 1 ] || fetch_systemd "$2"
	;;
missing)
	missing
	;;
install)
	[ $# -ge 3 ] || die "usage: machine.sh install ROOT PROGRAM[=PATH]..."
	shift
	install_programs "$@"
	;;
boot)
	[ $# -ge 4 ] ||
		die "usage: machine.sh boot ROOT INIT TIMEOUT_S [ARGUMENT]..."
	shift
	missing >&2 || exit 1
	boot "$@"
	;;
*)
	die "usage: machine.sh fetch | missing | install ... | boot ..."
	;;
esac
