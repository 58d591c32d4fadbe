#!/bin/sh
# Whether systemd understands the units, if it is here to be asked.
set -u
export LC_ALL=C

units=${top_srcdir:?}/units
build=$(cd "${top_builddir:?}" && pwd) || exit 1
dir=$(mktemp -d "${TMPDIR:-/tmp}/supd-units.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
count=0
failed=0

report() {      # NAME PROBLEMS (empty: none)
	count=$((count + 1))
	if [ -z "$2" ]; then
		echo "ok $count - $1"
	else
		failed=1
		echo "not ok $count - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
	fi
}

# It says as much of the host's own units, if any; those are not the question.
verify() {      # NAME
	systemd-analyze verify --man=no "$dir/$1" 2>&1 | grep supd
}

age=$(sed -n 's/^SYSTEMD_AGE = //p' "$build/Makefile")
report 'the units that are built are whole' \
    "$(grep -n '@' "$build"/units/*/supd.service)"
if ! command -v systemd-analyze >/dev/null; then
	echo 'ok 2 # SKIP there is no systemd-analyze'
	echo '1..2'
	exit "$failed"
fi
# The programs as they will be installed are somewhere else yet.
ln -s "$build/supd" "$build/supctl" "$dir/"
cp "$units/supd-unit" "$units/supd.socket" "$dir/"
sed "s|^\(Exec[A-Za-z]*=\)[^ ]*/|\1$dir/|" "$build/units/$age/supd.service" \
    >"$dir/supd.service"
report 'supd.service is understood' "$(verify supd.service)"
report 'supd.socket is understood' "$(verify supd.socket)"
report 'rights that no server needs are taken' "$(systemd-analyze security \
    --offline=yes --no-pager --threshold=87 "$dir/supd.service" 2>&1 >/dev/null ||
    echo 'the exposure is above 8.7')"
echo "1..$count"
exit "$failed"
