#!/bin/bash
# The programs of the documents, run against the twin: the first of each language creates a row and reads
# it back; then a file is sent there and fetched again, and a write in doubt is settled; C's, which asks a
# command for its tokens, is let in by each side that asks for them.
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

# Fails, and says what there is to do.
refuses() {
    local language=$1 word=$2 output
    shift 2
    if output=$("$@" 2>&1); then echo "$language went on: $output"; exit 1; fi
    grep -qF "$word" <<<"$output" || { echo "$language does not say $word: $output"; exit 1; }
    ! grep -qE 'Exception|Traceback' <<<"$output" || { echo "$language is not clear: $output"; exit 1; }
}

first_c() { "$root/target/c/first"; }
first_java() { java -cp "$java/test-classes:$java/classes" First; }
first_python() { "$root/target/venv/bin/python" "$root/bindings-python/examples/first.py"; }

for language in c java python; do
    run $language first_$language
    (unset D365_URL; refuses $language D365_URL first_$language)
done

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

tell() {
    curl -sSf -o "$files/control" -d "$2" "$control/$1"
}

# Each side takes the token of its own host only.
echo 'printf "twin-token-for-%s\n" "${1#https://}"' >"$files/token"
tell tokens '{"org":"contoso","tokens":"check"}'
for language in c java python; do
    refuses $language 'wants a token' first_$language
done
for side in primary alternate; do
    output=$(D365_TOKEN_COMMAND="sh $files/token" "$root/target/c/token")
    echo "c with tokens: $output"
    grep -q '^200 .*UserId' <<<"$output" || { echo "c was not let in at the $side"; exit 1; }
    tell faults '{"org":"contoso","side":"primary","kind":"refuse"}'
done
tell clear '{"org":"contoso"}'

# Without a token, with a wrong one, with what is none: the program says what is the matter, and fails.
refused() {
    local says=$1 output
    shift
    if output=$("$@" 2>&1); then echo "$1 ended well, without a token: $output"; exit 1; fi
    grep -q "$says" <<<"$output" || { echo "$1 does not say '$says': $output"; exit 1; }
    [ ! -e "$files/refused" ] || { echo "$1 has taken the refusal for the file"; exit 1; }
}

for program in first ledger "files accounts($id)/new_contract $files/from $files/refused"; do
    # shellcheck disable=SC2086
    refused 'answered 401.*' "$root/target/c/"$program
    # shellcheck disable=SC2086
    refused 'it wants a token' "$root/target/c/"$program
    # shellcheck disable=SC2086
    set -- $program
    refused '401' "$root/target/venv/bin/python" "$root/bindings-python/examples/$1.py" "${@:2}"
done
refused 'answered 401' env D365_TOKEN_COMMAND='echo wrong #' "$root/target/c/token"
refused 'is no token' env D365_TOKEN_COMMAND='echo no token' "$root/target/c/token"
refused 'has failed' env D365_TOKEN_COMMAND=false "$root/target/c/token"
refused 'D365_URL is not set' env -u D365_URL "$root/target/c/first"
nowhere='contoso.crm.twin.test:443:127.0.0.1:1,contoso--s.crm.twin.test:443:127.0.0.1:1'
refused 'endpoint_not_found' env D365_CONNECT_TO="$nowhere" "$root/target/c/first"
tell tokens '{"org":"contoso","tokens":"off"}'

# Executes the next request with this method, and closes the connection without an answer.
lose_answer() {
    tell faults "{\"org\":\"contoso\",\"side\":\"primary\",\"kind\":\"commit_then_close\",\"method\":\"$1\",\"times\":1}"
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
