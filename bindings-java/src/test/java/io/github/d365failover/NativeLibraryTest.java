package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.ChildJvm;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The library in the jar is this version's, keeps the C ABI that it carries to itself, and calls no other copy. */
class NativeLibraryTest {
    @TempDir
    Path temporary;

    private Path library;

    @BeforeEach
    void copy() throws Exception {
        String arch = System.getProperty("os.arch").equals("amd64") ? "x86_64" : System.getProperty("os.arch");
        library = temporary.resolve("library.so");
        try (InputStream in = FailoverClient.class.getResourceAsStream(
                "native/linux-" + arch + "-gnu/libd365_failover_jni.so")) {
            Files.copy(in, library);
        }
    }

    @Test
    void itIsOfThisVersion() {
        assertEquals(System.getProperty("d365.version"), FailoverClient.libraryVersion());
    }

    @Test
    void itExportsWhatTheJvmNeedsAndNothingElse() throws Exception {
        List<String> names = run("nm", "-D", "--defined-only", "--format=posix", library.toString())
                .lines()
                .map(line -> line.substring(0, line.indexOf(' ')))
                .collect(Collectors.toList());
        assertTrue(names.contains("Java_io_github_d365failover_impl_Native_send"), names.toString());
        names.removeIf(name -> name.startsWith("Java_io_github_d365failover_impl_Native_"));
        names.removeIf(name -> name.equals("JNI_OnLoad") || name.equals("JNI_OnUnload"));
        assertEquals(List.of(), names);
    }

    @Test
    void anotherCopyOfTheCLibraryIsNotCalled() throws Exception {
        Path source = temporary.resolve("foreign.c");
        Path foreign = temporary.resolve("libforeign.so");
        Files.writeString(source, "const char *d365_version(void) { return \"foreign\"; }\n"
                + "unsigned d365_abi_version(void) { return 4711; }\n"
                + "int d365_url_alternate() { return 200; }\n");
        run("cc", "-shared", "-fPIC", "-o", foreign.toString(), source.toString());
        String said = new ChildJvm(Map.of("LD_PRELOAD", foreign.toString())).run(Programs.AsksForTheVersion.class);
        assertEquals(
                FailoverClient.libraryVersion() + " https://contoso--s.crm.dynamics.com " + foreign,
                said.strip());
    }

    private static String run(String... command) throws Exception {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), said);
        return said;
    }
}
