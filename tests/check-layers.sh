#!/bin/sh
# Checks what the modules may know of each other (see `Layers` in the design).
#
#   - every module of src and include has a layer in the table below;
#   - includes of our own headers point downward or sideways, never up;
#   - <ev.h> is included by src/reactor.c and nothing else, <curl/curl.h> by
#     src/supprobe_http.c;
#   - pure modules include nothing that does I/O or reads a clock, and call
#     nothing of the kind from the headers that they may include;
#   - every header has its guard and compiles alone, and a module's own header
#     comes first in it, which proves the same.
#
#   check-layers.sh [DIRECTORY]       default: $top_srcdir or .
set -u
export LC_ALL=C

# A new file needs an entry here, and a name without a file loses it.  A name
# with a suffix is for that file alone, without one for header and source.
layers='
0 base       bounds clock fd log printable
1 policy     policy backoff fleet strategy worker
1 policy     rollout rollout_cursor rollout_fleet rollout_lane rollout_tick
1 policy     rollout_finish rollout_verb
1 policy     bpf group label release spec spec_differs spec_strategy
1 policy     config config_address config_build config_check
1 policy     config_check_rollout config_collect config_error config_file
1 policy     config_form config_list config_listen config_reader config_section
1 policy     config_source config_steps config_table config_value config_words
2 engine     engine engine_act engine_deploy engine_event engine_hook
2 engine     engine_judge engine_lane engine_order engine_parts engine_probe
2 engine     engine_reload engine_repair engine_verb
2 engine     event notice service world.h
2 engine     state state_check state_field state_log state_member state_parts
2 engine     state_read state_resume state_service state_table state_text
2 engine     state_write
2 engine     command command_deploy command_event command_parts command_rollout
2 engine     command_status command_upgrade
3 mechanism  diag listener listener_address listener_adopt listener_group
3 mechanism  listener_holder listener_keep listener_label listener_path listener_private
3 mechanism  listener_queue listener_record listener_restore listener_shard
3 mechanism  listener_watch steer steer_migrate
3 mechanism  carry carry_execute carry_name carry_parts carry_receive
3 mechanism  crash failed_start journal
3 mechanism  pin pin_account pin_elf pin_environment pin_fingerprint pin_keep
3 mechanism  pin_parts pin_search probe spawn spawn_child
3 mechanism  task task_command task_parts
3 mechanism  ctlsock ctlsock_client ctlsock_queue ctlsock_reserve
3 mechanism  ledger ledger_cursor
3 mechanism  crew crew_adopt crew_keep crew_private crew_talk
3 mechanism  crew_unclaimed orphan
3 mechanism  live live_dry_run live_keep live_lane live_lost live_parent
3 mechanism  live_parts live_place live_port live_resume live_signal
3 mechanism  live_socket live_store
3 mechanism  live_task live_task_keep live_upgrade live_world
3 mechanism  notify notify_parse parent parent_queue parent_socket reactor
3 mechanism  store store_give store_list store_private store_state
4 program    supd supd_options
4 program    supd_init supd_init_boot supd_init_store
4 program    supctl supctl_call supctl_check supctl_complain supctl_deploy
4 program    supctl_detail supctl_dora supctl_draw supctl_history
4 program    supctl_measure supctl_options supctl_order supctl_outcome
4 program    supctl_past supctl_picture supctl_progress
4 program    supctl_report supctl_resume supctl_rollout supctl_share
4 program    supctl_status supctl_steps supctl_table supctl_upgrade
4 program    supctl_watch
4 program    supprobe supprobe_http supprobe_tcp
'

# Of layer 1, but not quite pure: config_file.c reads files, for that is what it
# is for; the others need inet_pton() and inih, which do no I/O.
impure='config_file config_address config_reader'

# Of another layer, and pure all the same.
pure='notify_parse printable'

# Made by the build; they hold text and include nothing.
generated='io.supd.varlink.h'

# All that a pure module may include of the system.
pure_headers='assert.h ctype.h errno.h inttypes.h limits.h linux/filter.h
signal.h stdarg.h stdbool.h stddef.h stdint.h stdio.h stdlib.h string.h
strings.h sys/types.h time.h'

# What the above offer that is not pure all the same.
impure_calls='printf|vprintf|puts|putchar|fopen|freopen|fdopen|popen|tmpfile|
remove|rename|getenv|setenv|system|exit|_Exit|abort|rand|random|srand|srandom|
arc4random|kill|raise|sigaction|sigprocmask|time|clock|clock_gettime|clock_ms|
localtime|localtime_r|nanosleep|read|write|open|close'

top=${1:-${top_srcdir:-.}}
cd "$top" || exit 2
cc=${CC:-cc}

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

sources() {
	for file in src/*.[ch] include/*.h; do
		[ ! -e "$file" ] || echo "$file"
	done
}

module_of() {
	module=${1##*/}
	echo "${module%.[ch]}"
}

table=$(printf '%s\n' "$layers" |
    awk 'NF > 2 { for (i = 3; i <= NF; i++) print $i, $1, $2 }')

check_table() {
	for file in $(sources); do
		echo "${file##*/}"
	done | awk -v table="$table" '
	BEGIN {
		n = split(table, line, "\n")
		for (i = 1; i <= n; i++) {
			split(line[i], field, " ")
			if (field[1] in layer)
				print field[1] ": twice in the table"
			layer[field[1]] = field[2]
		}
	}
	{
		name = $1
		sub(/\.[ch]$/, "", name)
		if (!($1 in layer) && !(name in layer))
			print $1 ": has no layer in tests/check-layers.sh"
		seen[$1] = seen[name] = 1
	}
	END {
		for (module in layer)
			if (!(module in seen))
				print module ": in the table, but has no file"
	}' || echo "this check is broken"
}

check_includes() {      # FILE
	awk -v table="$table" -v file="$1" -v generated=" $generated " '
	BEGIN {
		n = split(table, line, "\n")
		for (i = 1; i <= n; i++) {
			split(line[i], field, " ")
			layer[field[1]] = field[2]
		}
		own = file
		sub(/.*\//, "", own)
		own = layer_of(own)
	}
	function layer_of(name) {
		if (name in layer)
			return layer[name]
		sub(/\.[ch]$/, "", name)
		return name in layer ? layer[name] : ""
	}
	/^[ \t]*#[ \t]*include[ \t]*"/ {
		split($0, part, "\"")
		header = part[2]
		other = layer_of(header)
		where = file ":" FNR ": "
		if (header ~ /\//)
			print where header ": name headers without a path"
		else if (index(generated, " " header " "))
			;
		else if (other == "")
			print where header ": no header of ours"
		else if (own != "" && other > own)
			print where header " (layer " other \
			    ") is above this file (layer " own ")"
	}
	/^[ \t]*#[ \t]*include[ \t]*<ev(\+\+)?\.h>/ && file != "src/reactor.c" {
		print file ":" FNR ": only src/reactor.c may include <ev.h>"
	}
	/^[ \t]*#[ \t]*include[ \t]*<curl\// && file != "src/supprobe_http.c" {
		print file ":" FNR ": only src/supprobe_http.c may include " \
		    "<curl/curl.h>"
	}' "$1" || echo "$1: this check is broken"
}

check_own_header() {    # FILE
	own=$(module_of "$1").h
	[ -e "include/$own" ] || [ -e "src/$own" ] || return 0
	awk -v own="$own" -v file="$1" '
	/^[ \t]*#[ \t]*include/ {
		if ($0 !~ "\"" own "\"")
			print file ":" FNR ": " own " must be included first"
		exit
	}' "$1" || echo "$1: this check is broken"
}

is_pure() {     # MODULE
	case " $impure " in
	*" $1 "*) return 1 ;;
	esac
	case " $pure " in
	*" $1 "*) return 0 ;;
	esac
	printf '%s\n' "$table" | grep -q "^$1 1 "
}

check_pure() {  # FILE
	allowed=$(printf '%s' "$pure_headers" | tr '\n' ' ')
	calls=$(printf '%s' "$impure_calls" | tr -d '\n')
	awk -v allowed=" $allowed " -v calls="$calls" -v file="$1" '
	# Neither comments nor strings call anything.
	function code(text,    out, c) {
		out = ""
		while (text != "") {
			if (inside) {
				if (!match(text, /\*\//))
					return out
				text = substr(text, RSTART + 2)
				inside = 0
			} else if (match(text, /^"([^"\\]|\\.)*"/)) {
				text = substr(text, RLENGTH + 1)
			} else if (match(text, /^\/\*/)) {
				text = substr(text, 3)
				inside = 1
			} else {
				c = substr(text, 1, 1)
				out = out c
				text = substr(text, 2)
			}
		}
		return out
	}
	/^[ \t]*#[ \t]*include[ \t]*</ {
		name = $0
		sub(/^[^<]*</, "", name)
		sub(/>.*/, "", name)
		if (index(allowed, " " name " ") == 0)
			print file ":" FNR ": a pure module includes <" name ">"
		next
	}
	{
		text = code($0)
		if (match(text, "(^|[^A-Za-z0-9_.>])(" calls ")[ \t]*\\(")) {
			call = substr(text, RSTART, RLENGTH)
			gsub(/[^A-Za-z0-9_]/, "", call)
			print file ":" FNR ": a pure module calls " call "()"
		}
	}' "$1" || echo "$1: this check is broken"
}

check_guard() { # FILE
	guard=SUPD_$(module_of "$1" | tr 'a-z-' 'A-Z_')_H
	awk -v guard="$guard" -v file="$1" '
	/^#/ && ++directive == 1 && $0 != "#ifndef " guard {
		print file ":" FNR ": expected `#ifndef " guard "`"
	}
	/^#/ && directive == 2 && !defined {
		defined = 1
		if ($0 != "#define " guard)
			print file ":" FNR ": expected `#define " guard "`"
	}
	NF { last = $0 }
	END {
		if (last !~ /^#endif/)
			print file ": does not end with #endif"
	}' "$1" || echo "$1: this check is broken"
}

compile_alone() {       # FILE
	# shellcheck disable=SC2086
	$cc -std=gnu17 -Wall -Wextra -Werror -Wno-unused-function \
	    -D_GNU_SOURCE ${CPPFLAGS:-} -iquote include -fsyntax-only \
	    -x c "$1" 2>&1
}

report "every module has a layer" "$(check_table)"
for file in $(sources); do
	report "$file: includes point downward" "$(check_includes "$file")"
	if is_pure "$(module_of "$file")"; then
		report "$file: is pure" "$(check_pure "$file")"
	fi
done
for file in src/*.c; do
	[ -e "$file" ] || continue
	report "$file: its own header first" "$(check_own_header "$file")"
done
for file in src/*.h include/*.h; do
	[ -e "$file" ] || continue
	report "$file: has a guard" "$(check_guard "$file")"
	report "$file: compiles alone" "$(compile_alone "$file")"
done
echo "1..$case_count"
[ "$failed" -eq 0 ]
