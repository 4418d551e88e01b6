#!/bin/bash
# The programs of the README, run against the twin: the first of each language creates a row and reads
# it back; the second sends a file there and fetches it again.
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

files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
head -c 20000000 /dev/urandom >"$files/from"
# The row that the first program has left.
id=$("$root/target/c/first" | sed -n 's/^created .*(\([-0-9a-f]*\))$/\1/p')

transfer() {
    local language=$1
    shift
    rm -f "$files/to"
    "$@" "accounts($id)/new_contract" "$files/from" "$files/to"
    cmp "$files/from" "$files/to" || { echo "$language: what came back is not what was sent"; exit 1; }
}

transfer c "$root/target/c/files"
transfer java java -cp "$java/test-classes:$java/classes" Files
transfer python "$root/target/venv/bin/python" "$root/bindings-python/examples/files.py"
