#!/bin/bash
# The three programs of the README, run against the twin: each creates a row and reads it back.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
java=$root/bindings-java/target

run() {
    local language=$1 output
    shift
    output=$("$@")
    echo "$language: $output"
    # The name of the row that was created stands in what was read back.
    grep -qE 'Fabrikam|Contoso Ltd\.|first' <<<"$output" || { echo "$language read nothing back"; exit 1; }
}

run c "$root/target/c/first"
run java java -cp "$java/test-classes:$java/classes" First
run python "$root/target/venv/bin/python" "$root/bindings-python/examples/first.py"
