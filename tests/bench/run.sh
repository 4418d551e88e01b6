#!/bin/bash
# Builds what ships and its peers, and compares them: target/bench/bench.md and bench.json.
#   tests/bench/run.sh [--rounds N] [--only TEXT]
#   tests/bench/run.sh --quick    a few calls of everything, with the libraries of the tests: does it still run?
set -eu
cd "$(dirname "$0")/../.."
ROOT=$PWD
T=$ROOT/target
OUT=$T/bench
VENV=$T/bench/venv
PROFILE=dist
case " $* " in *" --quick "*) OUT=$T/bench/quick PROFILE=release ;; esac
JNI=$T/$PROFILE/libd365_failover_jni.so

tests/tools/need.sh cargo: gcc:gcc javac:default-jdk-headless python3:python3 venv:python3-venv make:make \
    curl-config:libcurl4-openssl-dev /usr/include/sqlite3.h:libsqlite3-dev strace:strace valgrind:valgrind
make -s venv
mkdir -p "$OUT/c" "$OUT/java"

# ---- what is measured: the C library as `make install` installs it, the bindings as they are in jar and wheel ----
WHEELS=$OUT/wheels
if [ $PROFILE = release ]; then
    # `make test` has built them.
    [ -n "${BUILT:-}" ] || make -s c java python
    LIB=$T/c-library/libd365_failover.so.0
    WHEELS=$T/wheels
else
    make -s install PREFIX=/usr DESTDIR="$OUT/stage"
    LIB=$OUT/stage/usr/lib/libd365_failover.so.0
    make -s jni
    rm -rf "$WHEELS"
    make -s wheel WHEELS="$WHEELS"
fi
if [ ! -e "$VENV/.ready" ] || [ tests/bench/requirements.txt -nt "$VENV/.ready" ]; then
    python3 -m venv "$VENV"
    "$VENV/bin/python" -m pip install -q --disable-pip-version-check -r tests/bench/requirements.txt
    touch "$VENV/.ready"
fi
"$VENV/bin/python" -m pip install -q --disable-pip-version-check --force-reinstall --no-deps "$WHEELS"/*.whl

# ---- who measures ----
SERVER=$T/release/d365-bench-server
if [ -n "${BUILT:-}" ]; then
    SERVER=$T/debug/d365-bench-server
else
    cargo build -q --release -p d365-bench-server
fi
cc="gcc -std=c11 -D_POSIX_C_SOURCE=200809L -pedantic -Wall -Wextra -Werror -O2 -I$ROOT/include"
here="-Wl,-rpath,$(dirname "$LIB") $LIB"
$cc tests/bench/c/{client,libcurl,d365}.c -o "$OUT/c/client" $here $(curl-config --libs) -pthread
$cc tests/bench/c/switch.c -o "$OUT/c/switch" $here
$cc tests/bench/c/deadlines.c -o "$OUT/c/deadlines" $here -pthread
$cc tests/bench/c/store.c -o "$OUT/c/store" $here -lsqlite3 -pthread
$cc -shared -fPIC tests/bench/c/allocations.c -o "$OUT/c/liballocations.so"
find bindings-java/src/main/java tests/bench/java -name '*.java' >"$OUT/java.sources"
javac -Xlint:all -Werror -d "$OUT/java" "@$OUT/java.sources"

PYTHONPATH=tests/bench exec "$VENV/bin/python" -m driver "$@" --out "$OUT" \
    --server "$SERVER" --client "$OUT/c/client" --switch "$OUT/c/switch" --deadlines "$OUT/c/deadlines" --store "$OUT/c/store" \
    --allocations "$OUT/c/liballocations.so" --java "$OUT/java" --jni "$JNI" \
    --python "$VENV/bin/python"
