#!/bin/bash
# The first program of the documents, built from an installed library as its users build it, and run
# against the twin: by pkg-config and by CMake, shared and static, from a tree that was moved.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
first=$root/ffi-c/examples/first.c
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

make -s -C "$root" install INSTALL_PROFILE=release PREFIX=/opt/d365 DESTDIR="$dir/staged"
grep -qx 'prefix=/opt/d365' "$dir/staged/opt/d365/lib/pkgconfig/d365_failover.pc"
# A packager's tree is not where it was built for: pkg-config has a switch for that, CMake needs none.
mv "$dir/staged/opt/d365" "$dir/moved tree"
export PKG_CONFIG_PATH="$dir/moved tree/lib/pkgconfig"
# $(…) below is split at spaces.
ln -s "$dir/moved tree" "$dir/moved"
config() { pkg-config --define-variable=prefix="$dir/moved" "$@" d365_failover; }
lib=$dir/moved/lib

reads_back() {
    local how=$1 output
    shift
    output=$("$@")
    grep -q Fabrikam <<<"$output" || { echo "$how: $output"; exit 1; }
    echo "$how: $(head -n 1 <<<"$output")"
}

needs() { readelf -d "$1" | grep -q 'NEEDED.*libd365_failover'; }

# shellcheck disable=SC2046
{
    cc -std=c99 "$first" $(config --cflags --libs) -o "$dir/first"
    cc -std=c99 "$first" $(config --cflags --libs) -Wl,-rpath,"$lib" -o "$dir/first-rpath"
    cc -std=c99 "$first" $(config --cflags) -l:libd365_failover.a -Wl,--as-needed \
        $(config --static --libs) -o "$dir/first-static"
}
if refusal=$("$dir/first" 2>&1); then echo "it found a library without rpath: $refusal"; exit 1; fi
grep -q 'libd365_failover.so.0: cannot open shared object file' <<<"$refusal"
reads_back "pkg-config, LD_LIBRARY_PATH" env LD_LIBRARY_PATH="$lib" "$dir/first"
reads_back "pkg-config, rpath" "$dir/first-rpath"
needs "$dir/first-static" && { echo "the static program needs the shared library"; exit 1; }
reads_back "pkg-config, static" "$dir/first-static"
# Where there is no shared library, nothing more than pkg-config's own words is needed.
mkdir "$dir/alone" && cp "$lib/libd365_failover.a" "$dir/alone"
# shellcheck disable=SC2046
cc -std=c99 "$first" $(config --cflags) $(config --define-variable=libdir="$dir/alone" --static --libs) \
    -o "$dir/first-alone"
reads_back "pkg-config, static alone" "$dir/first-alone"

mkdir "$dir/project"
cp "$first" "$dir/project/first.c"
# The project of the document, and the same with the static library.
{
    sed -n '/^```cmake$/,/^```$/p' "$root/docs/c.md" | sed '/^```/d'
    cat <<'CMAKE'
find_package(d365_failover REQUIRED) # a second time does no harm
add_executable(first-static first.c)
target_link_libraries(first-static PRIVATE d365_failover::d365_failover_static)
install(TARGETS first-static DESTINATION bin)
CMAKE
} >"$dir/project/CMakeLists.txt"
cmake -S "$dir/project" -B "$dir/build" -DCMAKE_PREFIX_PATH="$dir/moved tree" \
    -DCMAKE_INSTALL_PREFIX="$dir/installed" >"$dir/cmake.log" || { cat "$dir/cmake.log"; exit 1; }
cmake --build "$dir/build" --target install >"$dir/cmake.log" || { cat "$dir/cmake.log"; exit 1; }
needs "$dir/installed/bin/first"
needs "$dir/installed/bin/first-static" && { echo "the static program needs the shared library"; exit 1; }
reads_back "CMake, built" "$dir/build/first"
reads_back "CMake, installed" "$dir/installed/bin/first"
reads_back "CMake, static" "$dir/installed/bin/first-static"

# What valgrind says of the installed library, which has no symbols, is what the file suppresses.
strip "$lib/libd365_failover.so.0"
reads_back valgrind valgrind -q --error-exitcode=9 --suppressions="$dir/moved/share/d365_failover/valgrind.supp" \
    "$dir/first-rpath"

# Which versions are given to whom.
version() {
    cat >"$dir/version.cmake" <<CMAKE
find_package(d365_failover $1 QUIET CONFIG)
if(NOT d365_failover_FOUND STREQUAL "$2")
  message(FATAL_ERROR "version $1: found is \${d365_failover_FOUND}, not $2")
endif()
CMAKE
    mkdir -p "$dir/version"
    printf 'cmake_minimum_required(VERSION 3.19)\nproject(version C)\ninclude(%s)\n' "$dir/version.cmake" \
        >"$dir/version/CMakeLists.txt"
    cmake -S "$dir/version" -B "$dir/version/build" -DCMAKE_PREFIX_PATH="$dir/moved tree" >"$dir/cmake.log" 2>&1 ||
        { cat "$dir/cmake.log"; exit 1; }
}
number=$(pkg-config --modversion d365_failover)
version "$number EXACT" 1
version "0.0.1" 1
version "0.0.1...<1" 1
version "0.0.1...<$number" 0
version "99" 0
