#!/bin/sh
# Run SeaweedFS with the given arguments, and end it at once when the pod is to end.
#
# Left to itself, `weed server` refuses every write for 15 s before it ends: its filer waits for those
# who listen to it, and one of them is the filer itself. Killed, it loses nothing that it has confirmed:
# that is in its files, which `sync` puts on the disk while clients are still served.
set -eu

# value_of NAME DEFAULT ARGUMENTS: of the last argument NAME=VALUE.
value_of() {
    name=$1 value=$2
    shift 2
    for word; do
        case $word in "$name"=*) value=${word#*=} ;; esac
    done
    echo "$value"
}

folder=$(value_of -dir /data "$@")
master=127.0.0.1:$(value_of -master.port 9333 "$@")
filer=127.0.0.1:$(value_of -filer.port 8888 "$@")

trap 'sync -f "$folder" || sync; exit 143' TERM

# An object's content waits for the disk. The setting is kept in the filer, and read back from it:
# what `-apply` prints is what was asked for, also when a filer that still starts has not kept it.
sync_contents() {
    until configure | grep -q '"fsync": *true'; do
        configure -locationPrefix=/buckets/ -fsync -apply >/dev/null || true
        sleep 1
    done
}

configure() {
    echo fs.configure "$@" | weed shell -master="$master" -filer="$filer" 2>/dev/null
}

# Its name is written without waiting, so a power cut costs those of the last seconds.
sync_names() {
    while sleep 5; do
        sync -f "$folder" || sync
    done
}

weed "$@" &
server=$!
sync_contents &
sync_names &
# The end of this shell, process 1 of the container, is the end of weed.
wait $server
