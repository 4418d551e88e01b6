#!/bin/bash
# Runs every check, each as a step of its own, and counts. A step's whole output is in target/test/.
# Steps that mostly wait run beside those that mostly compute, as lanes; within a lane one after the other.
set -u
cd "$(dirname "$0")/.." || exit 1
T=$PWD/target
LOGS=$T/test
VENV=$T/venv
RESULTS=$LOGS/results
mkdir -p "$LOGS"
rm -f "$LOGS"/*.built
: >"$RESULTS" || exit 1
# Each is built by a step of its own, and by no other: features that differ would build it anew.
export BUILT="c java python scenarios twin"
TIMEFORMAT='%R %U %S'

step() {
    local name=$1 log=$LOGS/$1.log time=$LOGS/$1.time
    shift
    if { time "$@" >"$log" 2>&1; } 2>"$time"; then
        printf 'ok    %-22s %s  %s\n' "$name" "$(spent "$time")" "$(summary "$log")"
        echo "ok $name" >>"$RESULTS"
    else
        # In one piece: another lane may speak as well.
        printf 'FAIL  %-22s %s\n%s\n' "$name" "$(spent "$time")" "$(tail -n 60 "$log" | sed 's/^/      | /')"
        echo "failed $name" >>"$RESULTS"
    fi
}

# The seconds that it took, and those of all processors.
spent() { awk '{ printf "%4.0fs  %4.0fs cpu", $1, $2 + $3 }' "$1"; }

# What a step's own runner says of its counts.
summary() {
    awk '/^test result: ok/ { rust += $4 }
         /^(=+ )?[0-9]+ passed/ { line = $0 }
         /Tests run: [0-9]+, F/ { java = $0 }
         /^   [0-9]+ checks$/ { checks += $1 }
         END { if (rust) print rust " passed"; if (checks) print checks " passed";
               if (line) print line; if (java) print java }' "$1" | tail -n 1
}

# A lane says that something is built, well or not; another, which was started later, waits for it.
built() { touch "$LOGS/$1.built"; }
wait_for() {
    until [ -e "$LOGS/$1.built" ]; do
        # It may have said so at its end.
        kill -0 "${LANES[$1]}" 2>/dev/null || { [ -e "$LOGS/$1.built" ]; return; }
        sleep 1
    done
}

# Each lane's process, the steps that all of them have, and the lanes that ended badly. A lane may
# die, or its results find no room: what counts is what was to be done, not what was written down.
declare -A LANES=()
PLANNED=()
DEAD=()

lanes() {
    local lane steps
    for lane in "$@"; do
        mapfile -t steps < <(declare -f "$lane" | sed -n 's/^ *step \([^ ]*\) .*/\1/p')
        PLANNED+=("${steps[@]}")
        "$lane" &
        LANES[$lane]=$!
    done
    for lane in "$@"; do
        wait "${LANES[$lane]}" || DEAD+=("$lane ($?)")
    done
}

# Says what failed, and how many; fails unless every planned step has passed.
count() {
    local name passed=0 failed=0
    for name in "${PLANNED[@]}"; do
        if grep -qx "failed $name" "$RESULTS"; then
            echo "failed: $name (target/test/$name.log)"
        elif [ "$(grep -cx "ok $name" "$RESULTS")" = 1 ]; then
            passed=$((passed + 1))
            continue
        else
            echo "failed: $name (has no result)"
        fi
        failed=$((failed + 1))
    done
    for name in "${DEAD[@]}"; do echo "failed: the lane $name"; done
    echo "$passed passed, $failed failed"
    [ "$passed" -gt 0 ] && [ "$failed" = 0 ] && [ "${#DEAD[@]}" = 0 ]
}

RUST=(--workspace --exclude d365-failover-jni --exclude d365-failover-python)

workspace() {
    step format cargo fmt --all --check
    # With the programs: the twin, the player of scenarios, the bench's server.
    step rust-build cargo build -q --all-targets "${RUST[@]}"
    built workspace
    step clippy cargo clippy -q --workspace --all-targets -- -D warnings
    step rustdoc env RUSTDOCFLAGS='-D warnings' cargo doc -q --no-deps \
        -p d365-failover-core -p d365-failover-c -p d365-twin -p d365-scenarios -p d365-network -p d365-simulate
    step header make -s header-check
    # Tests wait more than they compute.
    step rust env RUST_TEST_THREADS=4 cargo test "${RUST[@]}"
}

libraries() {
    step c-build make -s c
    step python-build make -s python
    step java-build make -s java
    wait_for workspace || return
    step c make -s c-test
    step c-memory make -s c-memory
    step install tests/tools/with_twin.sh tests/tools/install.sh
    step python-style "$VENV/bin/ruff" check bindings-python tests tools
    step python-format "$VENV/bin/ruff" format --check bindings-python tests tools
    step python-types env --chdir=bindings-python "$VENV/bin/mypy"
    step python-pyright env --chdir=bindings-python "$VENV/bin/pyright" --pythonpath "$VENV/bin/python"
    step tools-types "$VENV/bin/mypy" --config-file tools/mypy.ini
    step python-stubs env --chdir=bindings-python "$VENV/bin/python" -m mypy.stubtest d365_failover._native
    # Two processes, as most of it is waiting.
    step python env D365_TWIN="$T/debug/d365-twin" "$VENV/bin/python" -X dev -W error -m pytest -q \
        --tx "2*popen//python=$VENV/bin/python -X dev -W error" --dist loadfile bindings-python/tests
    step java make -s java-test
}

shipped() {
    step bench tests/bench/run.sh --quick
    step bench-types env --chdir=tests/bench "$VENV/bin/mypy" --python-executable "$T/bench/venv/bin/python" driver python
    step schedules make -s schedules SCHEDULES=2000
    step exports tests/tools/exports.sh
    step licences make -s licences
    step docs "$VENV/bin/python" tests/tools/docs.py
    step first-programs tests/tools/with_twin.sh tests/tools/first_programs.sh
}

crossing() {
    step scenarios-crossing make -s scenarios-crossing
    step extras make -s extras
}

# Alone: it measures.
soak() { step soak env SOAK_SECONDS=15 KILLS=50 CALLS=2000 CLIENTS=200 make -s soak; }

lanes workspace libraries
lanes shipped crossing
lanes soak
count
