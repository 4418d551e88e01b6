package io.github.d365failover.impl;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/** Finds and loads the native library, and does nothing else. */
final class NativeLoader {
    static final String PROPERTY = "d365failover.library.path";
    private static final String NAME = "d365_failover_jni";

    private NativeLoader() {}

    static void load() {
        String file = System.mapLibraryName(NAME);
        String named = System.getProperty(PROPERTY);
        if (named != null && !named.isEmpty()) {
            loadFile(Path.of(named).toAbsolutePath());
            return;
        }
        for (String directory : System.getProperty("java.library.path", "").split(File.pathSeparator)) {
            Path candidate = directory.isEmpty() ? null : Path.of(directory, file).toAbsolutePath();
            if (candidate != null && Files.isRegularFile(candidate)) {
                loadFile(candidate);
                return;
            }
        }
        String resource = resource(System.getProperty("os.name"), System.getProperty("os.arch"), file);
        try (InputStream in = NativeLoader.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new UnsatisfiedLinkError("the jar has no " + resource + ", and neither the system property "
                        + PROPERTY + " nor java.library.path leads to " + file);
            }
            loadCopy(in, file);
        } catch (IOException e) {
            throw unsatisfied("cannot copy " + resource, e);
        }
    }

    /** {@code /io/github/d365failover/native/linux-x86_64/libd365_failover_jni.so}. */
    static String resource(String osName, String osArch, String file) {
        String os = osName.toLowerCase(Locale.ROOT);
        os = os.startsWith("windows") ? "windows" : os.startsWith("mac") ? "macos" : os.replace(' ', '_');
        String arch = osArch.toLowerCase(Locale.ROOT);
        arch = arch.equals("amd64") || arch.equals("x86-64") ? "x86_64" : arch.equals("arm64") ? "aarch64" : arch;
        return "/io/github/d365failover/native/" + os + "-" + arch + "/" + file;
    }

    private static void loadFile(Path file) {
        try {
            System.load(file.toString());
        } catch (UnsatisfiedLinkError e) {
            // The JVM lets one class loader have a file; the next gets a copy. That it says so in words only is the
            // reason for comparing words: a file that cannot be loaded fails again as a copy.
            if (e.getMessage() == null || !e.getMessage().contains("already loaded")) {
                throw e;
            }
            try (InputStream in = Files.newInputStream(file)) {
                loadCopy(in, file.getFileName().toString());
            } catch (IOException io) {
                throw unsatisfied("cannot copy " + file, io);
            }
        }
    }

    /** A directory of its own, so that no two loaders or processes ever share a file. */
    private static void loadCopy(InputStream in, String name) throws IOException {
        Path directory = Files.createTempDirectory("d365failover");
        Path copy = directory.resolve(name);
        try {
            Files.copy(in, copy);
            System.load(copy.toString());
        } catch (UnsatisfiedLinkError e) {
            throw unsatisfied("cannot load the library from " + directory.getParent()
                    + " (if that may not hold executable code, set " + PROPERTY + " or java.io.tmpdir)", e);
        } finally {
            delete(copy);
            delete(directory);
        }
    }

    /** A loaded library needs its file no more, but not every system lets it go before the end. */
    private static void delete(Path path) {
        try {
            Files.deleteIfExists(path);
        } catch (IOException e) {
            path.toFile().deleteOnExit();
        }
    }

    private static UnsatisfiedLinkError unsatisfied(String message, Throwable cause) {
        UnsatisfiedLinkError error = new UnsatisfiedLinkError(message + ": " + cause.getMessage());
        error.initCause(cause);
        return error;
    }
}
