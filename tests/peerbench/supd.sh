# Adapter for the peer benchmark's harness: supd and supctl from $SUPD_BUILD.
PB_CAPS="A B C D E"; PB_MAXN=1000; PB_E="reload:0 reload:32 reload-slow:0"
pb_version() { "$SUPD_BUILD/supd" --version; }
# runtime_dir is on a tmpfs, as /run is on a Debian that booted: a notify socket
# for each worker on a disk's file system would measure the disk.
pb_run() { echo "/dev/shm/$(basename "$PB_TMP")-$(basename "$PB_DIR")"; }
pb_conf() {
    printf '[supd]\nruntime_dir = %s\nstate_dir = %s/state\n' "$(pb_run)" "$PB_DIR"
    printf '[service w]\n'
    printf '%s\n' "$@"
}
pb_prepare() {
    # The harness kills workers that have lived for 3 s; supd restarts at once what
    # lived for 10 s, and backs off else. Without backoff the path itself is measured.
    pb_conf "command = $PB_BIN/worker $PB_DIR/rec" "workers = $PB_N" \
        "backoff_min = 0ms" "backoff_max = 0ms" >"$PB_DIR/supd.conf"
    argv "$SUPD_BUILD/supd" -c "$PB_DIR/supd.conf"
}
# As raw-grace: two workers, both replaced at once; httpw says on fd 4 that it is ready.
pb_e_prepare() {
    local slow=; [ "$1" = reload-slow ] && slow="-b -s 3"
    pb_conf "command = $PB_BIN/httpw -f 3 -F 4 $slow" "listen = 127.0.0.1:$PB_PORT" \
        "workers = 2" "max_surge = 2" "ready = fd 4" >"$PB_DIR/supd.conf"
    argv "$SUPD_BUILD/supd" -c "$PB_DIR/supd.conf"
}
pb_e_reload() { "$SUPD_BUILD/supctl" --socket "$(pb_run)/control.sock" reload w; }
pb_stop() { kill -TERM "$(mainpid)"; while kill -0 "$(mainpid)" 2>/dev/null; do sleep 0.05; done; rm -rf "$(pb_run)"; }
