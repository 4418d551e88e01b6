package io.github.d365failover.impl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NativePlatformTest {
    @ParameterizedTest
    @CsvSource({
        "Linux, amd64, /usr/lib/x86_64-linux-gnu/libc.so.6, linux-x86_64-gnu",
        "Linux, amd64, /lib64/libc-2.17.so, linux-x86_64-gnu",
        "Linux, x86_64, /lib/ld-musl-x86_64.so.1, linux-x86_64-musl",
        "Linux, amd64, /lib/libc.musl-x86_64.so.1, linux-x86_64-musl",
        "Linux, amd64, /usr/lib/x86_64-linux-musl/libc.so, linux-x86_64-musl",
        "Linux, aarch64, /usr/lib/aarch64-linux-gnu/libc.so.6, linux-aarch64-gnu",
        "Linux, aarch64, /lib/ld-musl-aarch64.so.1, linux-aarch64-musl",
        "Linux, arm64, '', linux-aarch64-gnu",
        "Linux, riscv64, /lib/libc.so.6, linux-riscv64-gnu",
        "Windows 11, amd64, C:/libc.so, windows-x86_64",
        "Windows Server 2022, aarch64, '', windows-aarch64",
        "Mac OS X, aarch64, '', macos-aarch64",
        "FreeBSD, amd64, /lib/libc.so, freebsd-x86_64",
    })
    void thePlatformOfAProcess(String os, String arch, String libc, String platform) {
        Stream<String> mapped = Stream.of("/opt/java/lib/server/libjvm.so", libc, "[stack]");
        assertEquals(platform, NativePlatform.of(os, arch, mapped));
    }

    @ParameterizedTest
    @CsvSource({
        "linux-x86_64-gnu, libd365_failover_jni.so", "linux-aarch64-musl, libd365_failover_jni.so",
        "windows-x86_64, d365_failover_jni.dll", "macos-aarch64, libd365_failover_jni.dylib",
    })
    void theResourceOfAPlatform(String platform, String file) {
        String resource = "/io/github/d365failover/native/" + platform + "/" + file;
        assertEquals(resource, NativePlatform.resource(platform));
    }

    @Test
    void theBuildPutsTheLibraryWhereItIsLookedFor() {
        List<String> platforms = NativePlatform.inTheJar();
        assertTrue(platforms.contains(NativePlatform.ofThisProcess()), platforms.toString());
        assertTrue(NativePlatform.KNOWN.containsAll(platforms));
    }
}
