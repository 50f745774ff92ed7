#!/bin/sh
# Beside a server: run a command until it succeeds, make the file DONE, and stay, since a container
# of a server's pod is started again when it ends. The pod counts as ready from then on.
set -eu
trap 'exit 143' TERM

rm -f "$DONE"
"$(dirname "$0")/try.sh" "$@" &
wait $!
touch "$DONE"
while true; do
    sleep 3600 &
    wait $!
done
