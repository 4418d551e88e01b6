package io.github.d365failover.impl;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Finds and loads the native library, and does nothing else. */
public final class NativeLoader {
    static final String PROPERTY = "d365failover.library.path";
    private static final String PATH = "java.library.path";
    private static final String NAME = "d365_failover_jni";

    private static volatile boolean isLoaded;

    private NativeLoader() {}

    /**
     * Loads it, unless that was done. For whoever comes to the native methods first: a class whose initialization has
     * failed can be used no more, and what has kept the library from being loaded may be mended.
     */
    public static void require() {
        if (!isLoaded) {
            loadOnce();
        }
    }

    private static synchronized void loadOnce() {
        if (!isLoaded) {
            load();
            isLoaded = true;
        }
    }

    private static void load() {
        String file = System.mapLibraryName(NAME);
        String named = System.getProperty(PROPERTY);
        if (named != null && !named.isEmpty()) {
            loadFile(Path.of(named).toAbsolutePath(), PROPERTY);
            return;
        }
        for (String directory : System.getProperty(PATH, "").split(File.pathSeparator)) {
            Path candidate = directory.isEmpty() ? null : Path.of(directory, file).toAbsolutePath();
            if (candidate != null && Files.isRegularFile(candidate)) {
                loadFile(candidate, PATH);
                return;
            }
        }
        loadResource(NativePlatform.ofThisProcess(), file);
    }

    static String missing(String platform, List<String> inTheJar, String file) {
        return "the jar has no native library for " + platform + " (" + NativePlatform.resource(platform)
                + "), only for " + (inTheJar.isEmpty() ? "nothing" : String.join(", ", inTheJar))
                + "; and neither the system property " + PROPERTY + " nor " + PATH + " leads to " + file;
    }

    private static void loadResource(String platform, String file) {
        String resource = NativePlatform.resource(platform);
        byte[] content;
        try (InputStream in = NativeLoader.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new UnsatisfiedLinkError(missing(platform, NativePlatform.inTheJar(), file));
            }
            content = in.readAllBytes();
        } catch (IOException e) {
            throw unsatisfied("cannot read " + resource + " of the jar", e);
        }
        loadCopy(content, file, "of the jar");
    }

    private static void loadFile(Path file, String property) {
        try {
            System.load(file.toString());
        } catch (UnsatisfiedLinkError e) {
            // The JVM lets one class loader have a file; the next gets another name of it. That it says so in words
            // only is the reason for comparing words: a file that cannot be loaded fails again as a copy.
            if (e.getMessage() == null || !e.getMessage().contains("already loaded")) {
                throw unsatisfied("cannot load " + file + ", to which the system property " + property + " leads", e);
            }
            byte[] content;
            try {
                content = Files.readAllBytes(file);
            } catch (IOException io) {
                throw unsatisfied("cannot read " + file, io);
            }
            loadCopy(content, file.getFileName().toString(), "of " + file + ", which another class loader has");
        }
    }

    private static void loadCopy(byte[] content, String name, String whose) {
        Path root = NativeFolder.root();
        try {
            NativeFolder.use(root, content, name, copy -> System.load(copy.toString()));
        } catch (IOException e) {
            throw unsatisfied("cannot put the native library " + whose + " into " + root + "; " + advice(), e);
        } catch (UnsatisfiedLinkError e) {
            throw unsatisfied("cannot load the native library " + whose + " from " + root + "; " + advice(), e);
        }
    }

    private static String advice() {
        return "set the system property " + NativeFolder.PROPERTY + " to a folder that this user can write to, with room"
                + " for some megabytes, on a file system that is not mounted noexec; or take the library out of the jar"
                + " and set " + PROPERTY + " to it";
    }

    private static UnsatisfiedLinkError unsatisfied(String message, Throwable cause) {
        // An exception of a file system may say nothing but the path, and its class the rest.
        UnsatisfiedLinkError error = new UnsatisfiedLinkError(message + ": " + cause);
        error.initCause(cause);
        return error;
    }
}
