package io.github.d365failover.impl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NativeLoaderTest {
    @ParameterizedTest
    @CsvSource({
        "Linux, amd64, linux-x86_64", "Linux, aarch64, linux-aarch64", "Mac OS X, aarch64, macos-aarch64",
        "Windows 11, amd64, windows-x86_64",
    })
    void theResourceOfAPlatform(String os, String arch, String platform) {
        assertEquals(
                "/io/github/d365failover/native/" + platform + "/x.so", NativeLoader.resource(os, arch, "x.so"));
    }

    @Test
    void theBuildPutsTheLibraryWhereItIsLookedFor() {
        String resource = NativeLoader.resource(
                System.getProperty("os.name"),
                System.getProperty("os.arch"),
                System.mapLibraryName("d365_failover_jni"));
        assertNotNull(NativeLoader.class.getResource(resource), resource);
    }
}
