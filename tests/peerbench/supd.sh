# Adapter for the peer benchmark's harness: supd and supctl from $SUPD_BUILD.
PB_CAPS="A B C D E"; PB_MAXN=1000; PB_E="reload:0 reload:32 reload-slow:0"
pb_version() { "$SUPD_BUILD/supd" --version; }
pb_conf() {
    printf '[supd]\nruntime_dir = %s/run\nstate_dir = %s/state\n' "$PB_DIR" "$PB_DIR"
    printf '[service w]\n'
    printf '%s\n' "$@"
}
pb_prepare() {
    pb_conf "command = $PB_BIN/worker $PB_DIR/rec" "workers = $PB_N" >"$PB_DIR/supd.conf"
    argv "$SUPD_BUILD/supd" -c "$PB_DIR/supd.conf"
}
# As raw-grace: two workers, both replaced at once; httpw says on fd 4 that it is ready.
pb_e_prepare() {
    local slow=; [ "$1" = reload-slow ] && slow="-b -s 3"
    pb_conf "command = $PB_BIN/httpw -f 3 -F 4 $slow" "listen = 127.0.0.1:$PB_PORT" \
        "workers = 2" "max_surge = 2" "ready = fd 4" >"$PB_DIR/supd.conf"
    argv "$SUPD_BUILD/supd" -c "$PB_DIR/supd.conf"
}
pb_e_reload() { "$SUPD_BUILD/supctl" --socket "$PB_DIR/run/control.sock" reload w; }
