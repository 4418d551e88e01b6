package io.github.d365failover.impl;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.math.BigInteger;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Set;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The folder in which a user has each version of the native library once: for all processes and, within one, for all
 * class loaders, however often an application is deployed anew.
 *
 * <p>The JVM lets one class loader have a file, by its name. So each load has a name of its own for the same file, a hard
 * link, which is gone as soon as it is loaded. The system's loader goes by the file and not by its name: what is mapped
 * already is not mapped again, and the loaders share it.
 */
final class NativeFolder {
    static final String PROPERTY = "d365failover.library.dir";
    private static final Logger LOG = System.getLogger("io.github.d365failover");

    /** What the folder of one load alone begins with. */
    private static final String ONCE = "d365failover";

    private static final Set<PosixFilePermission> PRIVATE = PosixFilePermissions.fromString("rwx------");
    /** What a process that was killed has left lying about is nobody's after this time. */
    private static final Duration FORGOTTEN = Duration.ofHours(1);
    /** A version that was not loaded for so long is nobody's any more; who has it loaded needs its file no more. */
    private static final Duration OUTDATED = Duration.ofDays(30);

    private NativeFolder() {}

    /** Where the folder is. */
    static Path root() {
        String named = System.getProperty(PROPERTY);
        boolean isNamed = named != null && !named.isEmpty();
        return Path.of(isNamed ? named : System.getProperty("java.io.tmpdir")).toAbsolutePath();
    }

    /**
     * Has the library loaded from a file with this content, which is this user's and nobody else's to change.
     *
     * @param load gets a name that no other load has, and that is gone when this returns
     */
    static void use(Path root, byte[] content, String name, Consumer<Path> load) throws IOException {
        if (!root.getFileSystem().supportedFileAttributeViews().contains("unix")) {
            useOnce(root, content, name, load);
            return;
        }
        String user = System.getProperty("user.name", "").replaceAll("[^A-Za-z0-9._-]", "_");
        Path folder = root.resolve("d365-failover-" + user);
        Path version = folder.resolve(version() + digest(content).substring(0, 16));
        UserPrincipal self = self(root);
        if (!isPrivate(folder, self) || !isPrivate(version, self)) {
            LOG.log(Level.WARNING, "{0} is another user''s: the native library is copied for this load alone", folder);
            useOnce(root, content, name, load);
            return;
        }
        deleteOutdated(folder, version);
        deleteForgotten(version, name);
        try {
            useLink(version, content, name, self, load);
        } catch (NoSuchFileException e) {
            // Another process, or who tidies up temporary files, has deleted it meanwhile: nothing is loaded yet.
            if (!isPrivate(folder, self) || !isPrivate(version, self)) {
                throw e;
            }
            useLink(version, content, name, self, load);
        }
    }

    private static void useLink(
            Path version, byte[] content, String name, UserPrincipal self, Consumer<Path> load) throws IOException {
        Path file = version.resolve(name);
        Path link = version.resolve(UUID.randomUUID() + "-" + name);
        try {
            link(link, file, content, self);
            load.accept(link);
        } finally {
            delete(link);
        }
    }

    /** Makes a further name of the file, which is written first where it is not there, or is not what it should be. */
    private static void link(Path link, Path file, byte[] content, UserPrincipal self) throws IOException {
        if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            write(link, content);
            try {
                Files.createLink(file, link);
                return;
            } catch (FileAlreadyExistsException e) {
                // Another load was faster, and its file is the one for all.
                delete(link);
            } catch (IOException | UnsupportedOperationException e) {
                // A file system without links: this load has a file of its own.
                return;
            }
        }
        Files.createLink(link, file);
        // Of the link, which nobody replaces: what is looked at is what will be loaded.
        if (isRight(link, content, self)) {
            return;
        }
        delete(link);
        write(link, content);
        Path another = file.resolveSibling(UUID.randomUUID().toString());
        Files.createLink(another, link);
        Files.move(another, file, StandardCopyOption.ATOMIC_MOVE);
    }

    private static void write(Path file, byte[] content) throws IOException {
        Files.write(file, content, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    }

    private static boolean isRight(Path file, byte[] content, UserPrincipal self) throws IOException {
        PosixFileAttributes attributes =
                Files.readAttributes(file, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        return attributes.isRegularFile()
                && attributes.owner().equals(self)
                && attributes.size() == content.length
                && Arrays.equals(Files.readAllBytes(file), content);
    }

    /** A folder of its own for this load. */
    private static void useOnce(Path root, byte[] content, String name, Consumer<Path> load) throws IOException {
        deleteAbandoned(root);
        Path directory = Files.createTempDirectory(root, ONCE);
        Path copy = directory.resolve(name);
        try {
            write(copy, content);
            load.accept(copy);
        } finally {
            delete(copy);
            delete(directory);
        }
    }

    /** Whether nobody but this user can change what is in the directory, which is made where it is not there. */
    private static boolean isPrivate(Path directory, UserPrincipal self) throws IOException {
        try {
            Files.createDirectory(directory, PosixFilePermissions.asFileAttribute(PRIVATE));
        } catch (FileAlreadyExistsException e) {
            // Made before, by whomever.
        }
        PosixFileAttributes attributes =
                Files.readAttributes(directory, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        if (!attributes.isDirectory() || !attributes.owner().equals(self)) {
            return false;
        }
        if (!attributes.permissions().equals(PRIVATE)) {
            Files.setPosixFilePermissions(directory, PRIVATE);
        }
        return true;
    }

    /** Who this process is to the file system is seen by what it makes there. */
    private static UserPrincipal self(Path root) throws IOException {
        Path made = Files.createTempFile(root, "d365failover", null);
        try {
            return Files.getOwner(made, LinkOption.NOFOLLOW_LINKS);
        } finally {
            delete(made);
        }
    }

    /** The other versions of this user's. Each load makes and deletes a name in its version's folder. */
    private static void deleteOutdated(Path folder, Path version) {
        Instant before = Instant.now().minus(OUTDATED);
        try (Stream<Path> all = Files.list(folder)) {
            for (Path other : all.filter(path -> !path.equals(version)).collect(Collectors.toList())) {
                if (Files.isDirectory(other, LinkOption.NOFOLLOW_LINKS)
                        && Files.getLastModifiedTime(other, LinkOption.NOFOLLOW_LINKS).toInstant().isBefore(before)) {
                    deleteWithFiles(other);
                }
            }
        } catch (IOException | UncheckedIOException e) {
            // Another process does the same, or loads it just now.
        }
    }

    private static void deleteForgotten(Path version, String name) {
        Path file = version.resolve(name);
        Instant before = Instant.now().minus(FORGOTTEN);
        try (Stream<Path> all = Files.list(version)) {
            for (Path path : all.filter(path -> !path.equals(file)).collect(Collectors.toList())) {
                // A link's time of change is that of the last load, so one in use is young.
                FileTime changed = (FileTime) Files.getAttribute(path, "unix:ctime", LinkOption.NOFOLLOW_LINKS);
                if (changed.toInstant().isBefore(before)) {
                    delete(path);
                }
            }
        } catch (IOException | UncheckedIOException e) {
            // Another process does the same.
        }
    }

    /** Windows keeps a library's file as long as it is loaded: that of a process that has ended is left to the next. */
    private static void deleteAbandoned(Path root) {
        Instant before = Instant.now().minus(FORGOTTEN);
        try (DirectoryStream<Path> all = Files.newDirectoryStream(root, ONCE + "[0-9]*")) {
            for (Path directory : all) {
                if (Files.isDirectory(directory, LinkOption.NOFOLLOW_LINKS)
                        && Files.getLastModifiedTime(directory, LinkOption.NOFOLLOW_LINKS).toInstant().isBefore(before)) {
                    deleteIfUnused(directory);
                }
            }
        } catch (IOException | DirectoryIteratorException e) {
            // Nothing is lost by it but room.
        }
    }

    private static void deleteIfUnused(Path directory) {
        try {
            deleteWithFiles(directory);
        } catch (IOException | UncheckedIOException e) {
            // It is loaded, or another user's.
        }
    }

    private static void deleteWithFiles(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file : files.collect(Collectors.toList())) {
                Files.deleteIfExists(file);
            }
        }
        Files.deleteIfExists(directory);
    }

    /** {@code 0.1.0-}, or nothing where the classes are in no jar. */
    private static String version() {
        String version = NativeFolder.class.getPackage().getImplementationVersion();
        return version == null ? "" : version + "-";
    }

    private static String digest(byte[] content) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(content);
            return String.format("%064x", new BigInteger(1, digest));
        } catch (NoSuchAlgorithmException e) {
            throw new AssertionError("every JVM has SHA-256", e);
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
}
