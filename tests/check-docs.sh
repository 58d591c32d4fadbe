#!/bin/sh
# Checks that what can be configured and typed is documented:
#
#   - every key of the option table (printed by tests/print_keys) is an item of
#     supd.conf(5), below a heading that names its section, and the item says
#     what the default is, or that the key is required;
#   - every verb and option in what `supctl help` prints is in supctl(1);
#   - every field that supctl reads is in the interface io.supd;
#   - mandoc has nothing to say about any man page.
#
#   check-docs.sh [DIRECTORY]         default: $top_srcdir or .
set -u
export LC_ALL=C

top=${1:-${top_srcdir:-.}}
build=${top_builddir:-.}
supctl=${SUPCTL:-$build/supctl}
print_keys=${PRINT_KEYS:-$build/tests/print_keys}
cd "$top" || exit 2

case_count=0
failed=0
report() {      # NAME, PROBLEMS (empty: none)
	case_count=$((case_count + 1))
	if [ -z "$2" ]; then
		echo "ok $case_count - $1"
	else
		failed=$((failed + 1))
		echo "not ok $case_count - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
	fi
}

check_key() {   # SECTION KEY DEFAULT (may be empty)
	awk -v section="$1" -v key="$2" -v standard="$3" '
	BEGIN { section = tolower(section) }
	/^\.S[hs]/ {
		named = index(tolower($0), section) > 0
		if ($1 == ".Sh")
			below = named
		here = below || named
		item = 0
	}
	here && /^\.It/ {
		# Several items may share a text: `.It` lines in a row.
		if (!headings)
			item = 0
		headings = 1
		for (i = 2; i <= NF && $i != "="; i++)
			if ($i == key)
				item = found = 1
		next
	}
	{ headings = 0 }
	item && /[Dd]efault|[Rr]equired/ { says = 1 }
	item && standard != "" && index($0, standard) { right = 1 }
	END {
		if (!found)
			print "no item for it below a heading with `" section "`"
		else if (!says)
			print "the item does not say what the default is"
		else if (standard != "" && !right)
			print "the item does not name the default, " standard
	}' src/supd.conf.5 || echo "this check is broken"
}

check_keys() {
	keys=$("$print_keys") || {
		report "the keys are printed" "cannot run $print_keys"
		return
	}
	report "the keys are printed" "$([ -n "$keys" ] || echo "there are none")"
	while read -r section key standard; do
		[ -n "$key" ] || continue
		report "supd.conf(5): [$section] $key" \
		    "$(check_key "$section" "$key" "$standard")"
	done <<-END
	$keys
	END
}

# `supctl help` has one verb at the start of a line, behind two blanks.
verbs() {
	sed -n 's/^  \([a-z][a-z-]*\).*/\1/p' | sort -u
}

options() {
	grep -o -E '(^|[^[:alnum:]-])--?[a-z][a-z-]*' |
	    sed 's/^[^-]*//' | sort -u
}

check_verb() {  # VERB
	grep -q -E "^\.(It )?(Ic|Cm|Nm supctl)( .*)? ?$1( |\$)" src/supctl.1 ||
		echo "supctl(1) has no item for it"
}

check_option() {        # OPTION
	grep -q -E -e "Fl( [^ ]+)* ${1#-}( |\$)" src/supctl.1 ||
		echo "supctl(1) does not mention it"
}

check_commands() {
	help=$("$supctl" help) || {
		report "supctl prints its help" "cannot run $supctl help"
		return
	}
	report "supctl prints its help" "$([ -n "$help" ] || echo "it is empty")"
	for verb in $(printf '%s\n' "$help" | verbs); do
		report "supctl(1): $verb" "$(check_verb "$verb")"
	done
	for option in $(printf '%s\n' "$help" | options); do
		report "supctl(1): $option" "$(check_option "$option")"
	done
}

# The keys of `field_number(object, "key")`.
fields() {
	cat src/supctl*.c | tr '\n\t' '  ' |
	    grep -o 'field_[a-z]*([^"]*"[a-z_]*"' | sed 's/.*"\(.*\)"/\1/' |
	    sort -u
}

check_field() { # FIELD
	case $1 in
	interface | method | parameter)         # of org.varlink.service
		;;
	*)
		grep -q -w "$1:" src/io.supd.varlink ||
		    echo "io.supd.varlink has no such field"
		;;
	esac
}

check_interface() {
	read=$(fields)
	report "supctl reads fields" "$([ -n "$read" ] || echo "there are none")"
	for field in $read; do
		report "io.supd: $field" "$(check_field "$field")"
	done
}

check_page() {  # FILE
	if [ ! -e "$1" ]; then
		echo "$1 is missing"
	elif ! command -v mandoc >/dev/null; then
		echo "mandoc is missing: install the package mandoc"
	else
		mandoc -T lint -W warning "$1" 2>&1
	fi
}

for page in supd.8 supd-init.8 supctl.1 supd.conf.5 supd-worker.7 supprobe.8; do
	report "$page: mandoc finds nothing" "$(check_page "src/$page")"
done
check_keys
check_commands
check_interface
echo "1..$case_count"
[ "$failed" -eq 0 ]
