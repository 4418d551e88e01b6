#!/bin/bash
# Runs every check, each as a step of its own, and counts. A step's whole output is in target/test/.
set -u
cd "$(dirname "$0")/.." || exit 1
T=$PWD/target
LOGS=$T/test
VENV=$T/venv
mkdir -p "$LOGS"
passed=0
failed=()

step() {
    local name=$1 start=$SECONDS
    shift
    if "$@" >"$LOGS/$name.log" 2>&1; then
        passed=$((passed + 1))
        printf 'ok    %-22s %4ds  %s\n' "$name" $((SECONDS - start)) "$(summary "$LOGS/$name.log")"
    else
        failed+=("$name")
        printf 'FAIL  %-22s %4ds\n' "$name" $((SECONDS - start))
        tail -n 60 "$LOGS/$name.log" | sed 's/^/      | /'
    fi
}

# What a step's own runner says of its counts.
summary() {
    awk '/^test result: ok/ { rust += $4 }
         /^(=+ )?[0-9]+ passed/ { line = $0 }
         /Tests run: [0-9]+, F/ { java = $0 }
         /^   [0-9]+ checks$/ { checks += $1 }
         END { if (rust) print rust " passed"; if (checks) print checks " passed";
               if (line) print line; if (java) print java }' "$1" | tail -n 1
}

step format cargo fmt --all --check
step clippy cargo clippy -q --workspace --all-targets -- -D warnings
step rustdoc env RUSTDOCFLAGS='-D warnings' cargo doc -q --no-deps \
    -p d365-failover-core -p d365-failover-c -p d365-twin -p d365-scenarios -p d365-network
step rust cargo test --workspace --exclude d365-failover-jni --exclude d365-failover-python
step header make -s header-check
step twin make -s twin

step c-build make -s c
step c make -s c-test
step c-memory make -s c-memory
step install tests/tools/with_twin.sh tests/tools/install.sh

step python-build make -s python
step python-style "$VENV/bin/ruff" check bindings-python tests
step python-format "$VENV/bin/ruff" format --check bindings-python tests
step python-types env --chdir=bindings-python "$VENV/bin/mypy"
step python-stubs env --chdir=bindings-python "$VENV/bin/python" -m mypy.stubtest d365_failover._native
step python env D365_TWIN="$T/debug/d365-twin" "$VENV/bin/python" -X dev -W error -m pytest -q bindings-python/tests

step java-build make -s java
step java make -s java-test

step bench tests/bench/run.sh --quick
step bench-types env --chdir=tests/bench "$VENV/bin/mypy" --python-executable "$T/bench/venv/bin/python" driver python

step exports tests/tools/exports.sh
step licences make -s licences
step scenarios-crossing make -s scenarios-crossing
step docs "$VENV/bin/python" tests/tools/docs.py
step soak env SOAK_SECONDS=15 make -s soak
step first-programs tests/tools/with_twin.sh tests/tools/first_programs.sh

for name in "${failed[@]}"; do echo "failed: $name (target/test/$name.log)"; done
echo "$passed passed, ${#failed[@]} failed"
[ ${#failed[@]} -eq 0 ]
