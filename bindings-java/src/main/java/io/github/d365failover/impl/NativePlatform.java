package io.github.d365failover.impl;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Which of the native libraries in the jar a process can load; each is in a folder named after its platform. */
final class NativePlatform {
    /** What a jar may have a library for. */
    static final List<String> KNOWN = List.of(
            "linux-x86_64-gnu", "linux-x86_64-musl", "linux-aarch64-gnu", "linux-aarch64-musl", "windows-x86_64");

    private static final String FOLDER = "/io/github/d365failover/native/";
    private static final String NAME = "d365_failover_jni";

    private NativePlatform() {}

    /** The platform of this process. */
    static String ofThisProcess() {
        return of(System.getProperty("os.name"), System.getProperty("os.arch"), mappedFiles());
    }

    /** {@code linux-x86_64-gnu}: the system, the processor, and on Linux the C library that the process runs on. */
    static String of(String osName, String osArch, Stream<String> mappedFiles) {
        String os = osName.toLowerCase(Locale.ROOT);
        os = os.startsWith("windows") ? "windows" : os.startsWith("mac") ? "macos" : os.replace(' ', '_');
        String arch = osArch.toLowerCase(Locale.ROOT);
        arch = arch.equals("amd64") || arch.equals("x86-64") ? "x86_64" : arch.equals("arm64") ? "aarch64" : arch;
        String libc = !os.equals("linux") ? "" : mappedFiles.anyMatch(NativePlatform::isMusl) ? "-musl" : "-gnu";
        return os + "-" + arch + libc;
    }

    /** The resource of a platform's library. */
    static String resource(String platform) {
        String file = platform.startsWith("windows")
                ? NAME + ".dll"
                : "lib" + NAME + (platform.startsWith("macos") ? ".dylib" : ".so");
        return FOLDER + platform + "/" + file;
    }

    /** The platforms that this jar has a library for. */
    static List<String> inTheJar() {
        return KNOWN.stream()
                .filter(platform -> NativePlatform.class.getResource(resource(platform)) != null)
                .collect(Collectors.toList());
    }

    /** musl is one file, the loader as well; glibc's is {@code libc.so.6} or {@code libc-2.17.so}. */
    private static boolean isMusl(String mapped) {
        String file = mapped.substring(mapped.lastIndexOf('/') + 1);
        return file.startsWith("ld-musl-") || file.startsWith("libc.musl-") || file.equals("libc.so");
    }

    /** Lines that end in a path. What is mapped tells more than what is installed: a system may have both. */
    private static Stream<String> mappedFiles() {
        Path maps = Path.of("/proc/self/maps");
        try {
            return Files.readAllLines(maps, StandardCharsets.ISO_8859_1).stream();
        } catch (IOException e) {
            return Stream.empty();
        }
    }
}
