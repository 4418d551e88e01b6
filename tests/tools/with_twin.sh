#!/bin/bash
# with_twin.sh COMMAND …: runs a command with a twin beside it. TWIN_JSON names the file that
# describes the twin; D365_URL, D365_CA_BUNDLE and D365_CONNECT_TO are what the examples read.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
mkfifo "$dir/stdin" "$dir/stdout"
"$root/target/debug/d365-twin" --org contoso --dir "$dir" --stdin-eof <"$dir/stdin" >"$dir/stdout" &
twin=$!
# The twin ends when this script does, however it does: its standard input ends then.
exec 3>"$dir/stdin" 4<"$dir/stdout"
trap 'exec 3>&- 4<&-; wait $twin || true; rm -rf "$dir"' EXIT
read -r ready path <&4
[ "$ready" = ready ]
export TWIN_JSON=$path
eval "$(python3 "$root/tests/tools/twin_environment.py" "$path")"
"$@"
