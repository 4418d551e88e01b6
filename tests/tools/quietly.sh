#!/bin/sh
# Runs a command; what it says is shown only if it fails.
told=$(mktemp)
trap 'rm -f "$told"' EXIT
"$@" >"$told" 2>&1 || {
    status=$?
    cat "$told" >&2
    exit $status
}
