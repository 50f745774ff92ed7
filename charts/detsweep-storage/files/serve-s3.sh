#!/bin/sh
# Run SeaweedFS with the given arguments, and end it at once when the pod is to end.
#
# Left to itself, `weed server` refuses every write for 15 s before it ends: its filer waits for those
# who listen to it, and one of them is the filer itself. Killed, it loses nothing that it has confirmed:
# that is in its files, which `sync` puts on the disk while clients are still served.
set -eu
trap 'sync -f /data || sync; exit 143' TERM

weed "$@" &
# The end of this shell, process 1 of the container, is the end of weed.
wait $!
