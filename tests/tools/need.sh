#!/bin/sh
# Installs what the machine lacks: need.sh COMMAND:PACKAGE …, by apt; a path instead of a command
# must be there. A package left out is
# something that apt does not have in the version needed; then it says where it comes from.
set -eu

has() {
    case $1 in
        venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
        cjson) pkg-config --exists libcjson 2>/dev/null ;;
        /*) [ -e "$1" ] ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

missing=
for pair in "$@"; do
    command=${pair%%:*}
    package=${pair#*:}
    has "$command" && continue
    if [ -z "$package" ]; then
        echo "$command is missing: install Rust 1.88 or newer with rustup (https://rustup.rs)" >&2
        exit 1
    fi
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
if ! command -v apt-get >/dev/null; then
    echo "these are missing, and there is no apt-get here to install them:$missing" >&2
    exit 1
fi
echo "installing$missing" >&2
$sudo apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
