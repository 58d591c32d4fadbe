#!/bin/sh
# The main job, on real processes under real load: workers of version 1 serve,
# version 2 is installed over it, `supctl reload` rolls it in; then a version
# that cannot start is installed and takes itself back.  The load generator says
# what clients saw, and when each version answered.  Then canaries: one that is
# well, and one that falls ill when it has got its 5 %.
#
#   demo.sh            needs top_builddir; ends with 0 if no request failed
#
# First with the small server of the tests, whose builds are executables, then
# with nginx, if there is one, whose releases are directories behind a symbolic
# link.  Everything is on loopback and in a directory of its own, and is ended
# and removed.
set -u
export LC_ALL=C

build=${top_builddir:?}
supctl="$build/supctl"
dir=$(mktemp -d "${TMPDIR:-/tmp}/supd-demo.XXXXXX") || exit 1
supd_pid='' load_pid='' failed=0

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
show() { printf '$ %s\n' "$*"; }

clean_up() {
	[ -z "$load_pid" ] || kill "$load_pid" 2>/dev/null
	if [ -n "$supd_pid" ]; then
		kill "$supd_pid" 2>/dev/null
		wait "$supd_pid" 2>/dev/null
	fi
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# A port nobody listens on; /proc/net/tcp has them in hexadecimal.
free_port() {
	port=18080
	while grep -qi ":$(printf '%04X' "$port") 0\{8\}:0000 0A" \
	    /proc/net/tcp /proc/net/tcp6; do
		port=$((port + 1))
	done
	echo "$port"
}

# Waits until all workers of the service are ready, 10 s at most.
wait_ready() {  # SERVICE WORKERS
	tries=100
	until "$supctl" -c "$dir/supd.conf" status "$1" --json 2>/dev/null |
	    grep -q "\"ready\": *$2"; do
		tries=$((tries - 1))
		if [ "$tries" -eq 0 ]; then
			echo "demo: $1 does not get ready; supd said:" >&2
			cat "$dir/supd.log" >&2
			exit 1
		fi
		sleep 0.1
	done
}

start_supd() {
	show "supd -c supd.conf &"
	"$build/supd" -c "$dir/supd.conf" 2>"$dir/supd.log" &
	supd_pid=$!
	wait_ready "$1" "$2"
}

stop_supd() {
	show "supctl shutdown"
	"$supctl" -c "$dir/supd.conf" shutdown
	wait "$supd_pid"
	supd_pid=''
}

start_load() {  # SECONDS ADDRESS
	show "loadgen --rate 2000 --duration $1 $2 &"
	"$build/tests/loadgen" --rate 2000 --duration "$1" "$2" \
	    >"$dir/load" &
	load_pid=$!
	sleep 2         # a while of the old version alone, to be seen
}

end_load() {
	wait "$load_pid" || failed=1
	load_pid=''
	echo
	cat "$dir/load"
	for version in 1 2; do
		grep -q "^$version  *[1-9]" "$dir/load" && continue
		echo "demo: version $version has answered nothing" >&2
		failed=1
	done
}

reload() {      # SERVICE VERSION EXIT-CODE
	show "supctl reload $1 --version $2"
	"$supctl" -c "$dir/supd.conf" reload "$1" --version "$2"
	code=$?
	echo "(exit code $code)"
	if [ "$code" -ne "$3" ]; then
		echo "demo: exit code $3 was expected" >&2
		failed=1
	fi
	sleep 2
}

install_build() {       # FILE
	show "install ${1##*/} web.new; mv web.new web"
	install -m 755 "$1" "$dir/web.new" && mv "$dir/web.new" "$dir/web"
}

# The service web of `address`.
configure_web() {       # FURTHER LINES
	cat >"$dir/supd.conf" <<EOF
[supd]
runtime_dir = $dir/run
state_dir = $dir/state

[service web]
command = $dir/web
listen  = $address
workers = 4
ready   = notify
$1
EOF
	show "cat supd.conf"
	sed "s,$dir/,," "$dir/supd.conf"
	echo
}

demo_builds() {
	address="127.0.0.1:$(free_port)"
	say "Four workers of version 1, under 2,000 requests a second"
	configure_web 'min_ready = 200ms'
	install_build "$build/tests/worker"
	start_supd web 4
	start_load 12 "$address"

	say "Version 2 is installed over it and rolled in"
	install_build "$build/tests/worker_2"
	reload web 2 0

	say "Version 3 cannot start: it is taken back by itself"
	printf '#!/bin/sh\necho "version 3: no database" >&2\nexit 3\n' \
	    >"$dir/broken"
	install_build "$dir/broken"
	reload web 3 1

	say "What clients saw meanwhile"
	end_load
	say "What is left"
	show "supctl status"
	"$supctl" -c "$dir/supd.conf" status
	show "supctl history"
	"$supctl" -c "$dir/supd.conf" history
	stop_supd
}

demo_canary() {
	address="127.0.0.1:$(free_port)"
	say "A canary: 5 % of new connections for a second, then 50 %, then all"
	configure_web 'strategy = canary
steps = 5% 1s, 50% 1s, 100%
probe = http /healthz
probe_interval = 200ms'
	install_build "$build/tests/worker"
	start_supd web 4
	start_load 10 "$address"
	install_build "$build/tests/worker_2"
	reload web 2 0

	say "Version 3 falls ill when it has connections: it is taken back"
	printf '#!/bin/sh\nexec %s --version 3 --unhealthy-after 500\n' \
	    "$build/tests/worker" >"$dir/ill"
	install_build "$dir/ill"
	reload web 3 1
	end_load
	stop_supd
}

nginx_release() {       # VERSION
	mkdir -p "$dir/releases/$1"
	cat >"$dir/releases/$1/nginx.conf" <<EOF
daemon off;
worker_processes 1;
pid nginx.pid;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp;
	uwsgi_temp_path tmp; scgi_temp_path tmp;
	server {
		listen $address;
		location / { return 200 "version=$1 pid=\$pid slot=0\n"; }
	}
}
EOF
	show "ln -sfn releases/$1 current"
	ln -sfn "releases/$1" "$dir/current"
}

demo_nginx() {
	for nginx in nginx /usr/sbin/nginx "$build/nginx/usr/sbin/nginx" ''; do
		"$nginx" -v >/dev/null 2>&1 && break
	done
	if [ -z "$nginx" ]; then
		say "There is no nginx to show the same with"
		return
	fi
	nginx=$(command -v "$nginx")
	address="127.0.0.1:$(free_port)"
	cat >"$dir/supd.conf" <<EOF
[supd]
runtime_dir = $dir/run
state_dir = $dir/state

[service nginx]
command = $nginx -p ./ -c nginx.conf -e stderr
working_directory = $dir/current
environment = "NGINX=3;"
listeners = http
workers = 2
ready = alive 500ms
drain_signal = QUIT

[listener http]
address = $address
nonblocking = yes
EOF
	say "The same with nginx, whose releases are directories"
	show "cat supd.conf"
	sed "s,$dir/,," "$dir/supd.conf"
	echo
	nginx_release 1
	start_supd nginx 2
	start_load 7 "$address"
	nginx_release 2
	reload nginx 2 0
	end_load
	stop_supd
}

demo_builds
demo_canary
demo_nginx
if [ "$failed" -eq 0 ]; then
	say "No request failed"
else
	say "Something was not as it should be"
fi
exit "$failed"
