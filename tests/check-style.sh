#!/bin/sh
# Checks what of the house style a script can see, file by file:
#
#   - a file opens with its essay, is at most 500 lines long and has no line
#     over 100 columns (a tab ends at a multiple of eight);
#   - a function is at most 70 lines long, nests less than four deep, and has
#     its name at the start of a line and its brace on one of its own;
#   - tabs indent, lines do not end in blanks, the last one ends;
#   - no `//` comment, no typedef for a struct, no `#if 0`, no TODO;
#   - supd-init, which has to outlive all else, has at most 400 lines that are
#     neither blank nor comment.
#
#   check-style.sh [DIRECTORY]        default: $top_srcdir or .
set -u
export LC_ALL=C

top=${1:-${top_srcdir:-.}}
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

check_file() {
	awk -v file="$1" '
	BEGIN {
		file_lines_max = 500
		function_lines_max = 70
		nesting_max = 3
		columns_max = 100
	}

	function problem(text) {
		print file ":" FNR ": " text
	}

	# Bytes that continue a UTF-8 character take no column.
	function columns(text,    i, c, width) {
		gsub(/[\200-\277]/, "", text)
		width = 0
		for (i = 1; i <= length(text); i++) {
			c = substr(text, i, 1)
			width += c == "\t" ? 8 - width % 8 : 1
		}
		return width
	}

	# The line without comments and without what stands in quotes.
	function code(text,    out, c) {
		out = ""
		while (text != "") {
			if (in_comment) {
				if (!match(text, /\*\//))
					return out
				text = substr(text, RSTART + 2)
				in_comment = 0
				continue
			}
			if (match(text, /^"([^"\\]|\\.)*"/) ||
			    match(text, /^\047([^\047\\]|\\.)+\047/)) {
				out = out "Q"
				text = substr(text, RLENGTH + 1)
				continue
			}
			if (match(text, /^\/\*/)) {
				in_comment = 1
				text = substr(text, 3)
				continue
			}
			if (match(text, /^\/\//)) {
				problem("a `//` comment")
				return out
			}
			c = substr(text, 1, 1)
			out = out c
			text = substr(text, 2)
		}
		return out
	}

	FNR == 1 && $0 != "/*" { problem("does not open with an essay") }
	FNR == 1 { in_essay = 1 }
	in_essay && /\*\// {
		in_essay = 0
		if (FNR < 3)
			problem("the essay is empty")
	}

	columns($0) > columns_max {
		problem("over " columns_max " columns")
	}
	/[ \t]$/ { problem("ends in a blank") }
	/(^|[^A-Za-z])(TODO|FIXME|XXX)([^A-Za-z]|$)/ { problem("a note to do") }

	{
		commented = in_comment
		text = code($0)
	}
	!commented && /^\t*        / { problem("blanks where tabs belong") }
	text ~ /^[ \t]*#[ \t]*if[ \t]+0/ { problem("dead code") }
	text ~ /^[ \t]*typedef[ \t]+(struct|union|enum)/ {
		problem("a typedef for a " $2)
	}
	text ~ /^[A-Za-z_].*\)[ \t]*\{/ && text !~ /=/ {
		problem("the brace of a function stands on a line of its own")
	}

	# KNF puts a function between two braces in the first column.
	text ~ /^\{[ \t]*$/ {
		begin = FNR
		if (head !~ /^[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)
			problem("the name of a function begins a line")
		name = head
		sub(/[ \t]*\(.*/, "", name)
	}
	text ~ /^[A-Za-z_]/ { head = text }
	begin && text ~ /^\}/ {
		if (FNR - begin + 1 > function_lines_max)
			problem(name "() has " FNR - begin + 1 \
			    " lines, at most " function_lines_max)
		begin = 0
	}

	# A level of nesting is a tab; a continued line adds blanks to it.
	begin && text !~ /^[ \t]*#/ && text ~ /^\t+[^ \t]/ {
		match(text, /^\t+/)
		if (RLENGTH - 1 > nesting_max && name != nested) {
			problem(name "() nests " RLENGTH - 1 \
			    " deep, at most " nesting_max)
			nested = name
		}
	}

	END {
		if (FNR > file_lines_max)
			problem("longer than " file_lines_max " lines")
		if (FNR == 0)
			problem("empty")
		if (in_comment)
			problem("a comment does not end")
		if (begin)
			problem(name "() does not end")
	}' "$1" || echo "$1: this check is broken"
	[ -z "$(tail -c 1 "$1")" ] || echo "$1: the last line does not end"
}

check_init() {
	count=$(cat src/supd_init*.c | ${CC:-cc} -fpreprocessed -dD -E -P - |
	    grep -c .)
	[ "$count" -gt 0 ] && [ "$count" -le 400 ] || echo "src/supd_init*.c: $count lines of code"
}

for file in src/*.[ch] include/*.h tests/*.c tests/*.h; do
	[ -e "$file" ] || continue
	report "$file" "$(check_file "$file")"
done
[ ! -e src/supd_init.c ] || report 'size of supd-init' "$(check_init)"
echo "1..$case_count"
[ "$failed" -eq 0 ]
