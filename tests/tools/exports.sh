#!/bin/bash
# The libraries export their own names and no others, and the bindings call the copy of the C ABI
# that they carry.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
release=$root/target/release

exported() { nm -D --defined-only "$1" | awk '{ print $3 }'; }

only() {
    local library=$1 pattern=$2 count other
    count=$(exported "$library" | grep -cE "$pattern" || true)
    other=$(exported "$library" | grep -vE "$pattern" || true)
    echo "$(basename "$library"): $count names of its own"
    [ "$count" -gt 0 ] || { echo "  none of $pattern"; exit 1; }
    [ -z "$other" ] || { echo "  others: $other"; exit 1; }
}

module=$("$root/target/venv/bin/python" -c 'import d365_failover._native as m; print(m.__file__)')
# The C library's name belongs to it alone: the loader takes whoever has it for the library.
soname() { readelf -d "$1" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p'; }
named() {
    [ "$(soname "$1")" = "$2" ] || { echo "$(basename "$1") is named $(soname "$1"), not $2"; exit 1; }
}

library=$root/target/c-library/libd365_failover.so.0
named "$library" libd365_failover.so.0
named "$release/libd365_failover_jni.so" libd365_failover_jni.so
named "$module" d365_failover._native
only "$library" '^d365_'
only "$release/libd365_failover_jni.so" '^(Java_|JNI_OnLoad$|JNI_OnUnload$)'
only "$module" '^PyInit_'
