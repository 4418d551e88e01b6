#!/bin/bash
# The programs of the README, run against the twin: the first of each language creates a row and reads
# it back; the second sends a file there and fetches it again; the third settles a write in doubt.
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

control=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["control_url"])' "$TWIN_JSON")

# Executes the next request with this method, and closes the connection without an answer.
lose_answer() {
    curl -sSf -o "$files/control" -d "{\"org\":\"contoso\",\"side\":\"primary\",\"kind\":\"commit_then_close\",\"method\":\"$1\",\"times\":1}" "$control/faults"
}

# How many rows of the two that a program creates there are.
rows() {
    curl -sSf "$control/rows?org=contoso" | grep -oE "\"accountnumber\": ?\"$1-[12]\"" | wc -l
}

settle() {
    local language=$1 output
    shift
    # The guarded create, which goes out as PATCH, and the plain one.
    lose_answer PATCH
    lose_answer POST
    output=$("$@")
    echo "$language: $output"
    grep -qx 'in question: 1' <<<"$output" || { echo "$language had not one write in question"; exit 1; }
    # No row can tell whether a plain create was executed: it is for a person to look.
    grep -qx 'still in question: 1' <<<"$output" || { echo "$language settled what it cannot know"; exit 1; }
    grep -qxi "look yourself: account $language-2 unverifiable" <<<"$output" || { echo "$language does not say which"; exit 1; }
    [ "$(rows "$language")" -eq 2 ] || { echo "$language made $(rows "$language") rows of two"; exit 1; }
}

settle c "$root/target/c/ledger"
settle java java -cp "$java/test-classes:$java/classes" Ledger
settle python "$root/target/venv/bin/python" "$root/bindings-python/examples/ledger.py"
