#!/bin/sh
# Run a command again until it succeeds: try.sh COMMAND [ARGUMENT]...
# Gives up after PATIENCE seconds, or never where that is not set. Ends at once when it is asked to.
set -u
trap 'exit 143' TERM

began=$(date +%s)
while true; do
    # In the background, since a shell hears signals only while it waits.
    "$@" &
    wait $! && exit 0
    waited=$(($(date +%s) - began))
    if [ -n "${PATIENCE:-}" ] && [ "$waited" -ge "$PATIENCE" ]; then
        echo "gave up after $waited s" >&2
        exit 1
    fi
    sleep 1 &
    wait $!
done
