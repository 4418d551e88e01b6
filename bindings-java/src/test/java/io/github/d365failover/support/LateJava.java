package io.github.d365failover.support;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Properties;

/** A JDK that has virtual threads. */
public final class LateJava {
    /** Names one; {@code make java-test} sees to it that there is one. */
    public static final String PROPERTY = "d365.late.java";

    private static final int FIRST = 21;

    private LateJava() {}

    /** Its {@code java}: the one that is named, this one, or any of the system's. */
    public static Optional<Path> find() throws IOException {
        String named = System.getProperty(PROPERTY, "");
        if (!named.isEmpty()) {
            return Optional.of(Path.of(named));
        }
        if (Runtime.version().feature() >= FIRST) {
            return Optional.of(Path.of(System.getProperty("java.home"), "bin", "java"));
        }
        List<Path> found = new ArrayList<>();
        Path all = Path.of("/usr/lib/jvm");
        if (Files.isDirectory(all)) {
            try (DirectoryStream<Path> homes = Files.newDirectoryStream(all)) {
                for (Path home : homes) {
                    if (version(home) >= FIRST) {
                        found.add(home.resolve("bin").resolve("java"));
                    }
                }
            }
        }
        return found.stream().filter(Files::isExecutable).findFirst();
    }

    private static int version(Path home) throws IOException {
        Path release = home.resolve("release");
        if (!Files.isRegularFile(release)) {
            return 0;
        }
        Properties said = new Properties();
        try (var in = Files.newBufferedReader(release)) {
            said.load(in);
        }
        String version = said.getProperty("JAVA_VERSION", "0").replace("\"", "");
        return Runtime.Version.parse(version).feature();
    }
}
