package io.github.d365failover.impl;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class NativeLoaderTest {
    @Test
    void whatIsMissingIsSaidWithWhatIsThere() {
        assertEquals(
                "the jar has no native library for linux-riscv64-gnu"
                        + " (/io/github/d365failover/native/linux-riscv64-gnu/libd365_failover_jni.so), only for"
                        + " linux-x86_64-gnu, windows-x86_64; and neither the system property d365failover.library.path"
                        + " nor java.library.path leads to libx.so",
                NativeLoader.missing(
                        "linux-riscv64-gnu", List.of("linux-x86_64-gnu", "windows-x86_64"), "libx.so"));
    }
}
