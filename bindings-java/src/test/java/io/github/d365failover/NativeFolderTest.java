package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.ChildJvm;
import io.github.d365failover.support.Twin;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Where the jar's library is put: one file for a user, which nobody else can change. */
class NativeFolderTest {
    private static final String NAME = System.mapLibraryName("d365_failover_jni");

    @TempDir
    Path temporary;

    private Path folder;
    private byte[] library;

    @BeforeEach
    void find() throws Exception {
        folder = temporary.resolve("d365-failover-" + System.getProperty("user.name"));
        String arch = System.getProperty("os.arch").equals("amd64") ? "x86_64" : System.getProperty("os.arch");
        try (InputStream in = FailoverClient.class.getResourceAsStream("native/linux-" + arch + "-gnu/" + NAME)) {
            library = in.readAllBytes();
        }
    }

    private ChildJvm child(Map<String, String> environment) {
        return new ChildJvm(environment).option("-Djava.io.tmpdir=" + temporary);
    }

    private ChildJvm child() {
        return child(Map.of());
    }

    @Test
    void aDozenDeploymentsMapOneFile() throws Exception {
        try (Twin twin = Twin.start()) {
            String said = child(twin.environment()).run(Programs.Redeploys.class, "12");
            assertTrue(said.contains("12 classes, 12 calls, 1 files mapped"), said);
        }
        Path file = file();
        assertEquals(List.of(folder, file.getParent(), file), all());
        assertEquals("rwx------", mode(folder));
        assertEquals("rwx------", mode(file.getParent()));
        assertEquals(1, Files.getAttribute(file, "unix:nlink"));
        assertArrayEquals(library, Files.readAllBytes(file));
    }

    @Test
    void whatKeepsItFromBeingLoadedIsSaidEachTimeAndMayBeMended() throws Exception {
        Path later = temporary.resolve("later");
        String said = new ChildJvm(Map.of())
                .option("-Djava.io.tmpdir=" + later)
                .run(Programs.LoadsLate.class, later.toString());
        List<String> lines = said.lines().collect(Collectors.toList());
        assertEquals(5, lines.size(), said);
        for (String line : lines.subList(0, 4)) {
            assertTrue(line.startsWith("not loaded: cannot put the native library of the jar into " + later), said);
        }
        assertEquals("loaded " + FailoverClient.libraryVersion(), lines.get(4));
    }

    @Test
    void aNamedFileIsMappedAndOneMoreForItsFurtherLoaders() throws Exception {
        Path named = temporary.resolve("a library.so");
        Files.write(named, library);
        try (Twin twin = Twin.start()) {
            String said = child(twin.environment())
                    .option("-Dd365failover.library.path=" + named)
                    .run(Programs.Redeploys.class, "4");
            assertTrue(said.contains("4 classes, 4 calls, 2 files mapped"), said);
        }
    }

    @Test
    void manyProcessesThatLoadFirstAtOnceHaveOneFile() throws Exception {
        List<CompletableFuture<String>> processes = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            processes.add(CompletableFuture.supplyAsync(this::load, task -> new Thread(task).start()));
        }
        for (CompletableFuture<String> process : processes) {
            assertLoaded(process.get(60, TimeUnit.SECONDS));
        }
        assertEquals(3, all().size());
        assertArrayEquals(library, Files.readAllBytes(file()));
    }

    private String load() {
        try {
            return child().run(Programs.LoadFails.class);
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    /** Days since a version was loaded last, and what becomes of it. */
    @ParameterizedTest
    @CsvSource({"31, false", "29, true"})
    void aVersionThatNobodyLoadsAnyMoreIsDeleted(int days, boolean stays) throws Exception {
        assertLoaded(load());
        Path other = Files.createDirectory(folder.resolve("0.0.1-0123456789abcdef"));
        Files.write(other.resolve(NAME), library);
        Files.setLastModifiedTime(other, FileTime.from(Instant.now().minus(Duration.ofDays(days))));
        assertLoaded(load());
        assertEquals(stays, Files.exists(other));
        assertEquals(stays ? 5 : 3, all().size());
    }

    private static void assertLoaded(String said) {
        assertTrue(said.contains("loaded " + FailoverClient.libraryVersion()), said);
        assertFalse(said.contains("not loaded"), said);
    }

    /** What is in the way where the file should be, and does not stay there. */
    @ParameterizedTest
    @CsvSource({"cut", "changed", "empty", "a link"})
    void whatIsNotTheLibraryIsReplaced(String what) throws Exception {
        assertLoaded(load());
        Path file = file();
        Path elsewhere = temporary.resolve("elsewhere");
        Files.write(elsewhere, new byte[] {1});
        Files.delete(file);
        byte[] bytes = library.clone();
        bytes[bytes.length / 2] ^= 1;
        switch (what) {
            case "cut":
                Files.write(file, Arrays.copyOf(library, library.length / 2));
                break;
            case "changed":
                Files.write(file, bytes);
                break;
            case "empty":
                Files.createFile(file);
                break;
            default:
                Files.createSymbolicLink(file, elsewhere);
        }
        assertLoaded(load());
        assertTrue(Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS));
        assertArrayEquals(library, Files.readAllBytes(file));
        assertArrayEquals(new byte[] {1}, Files.readAllBytes(elsewhere));
        Files.delete(elsewhere);
        assertEquals(3, all().size());
    }

    @Test
    void aFolderThatOthersMayChangeIsClosedToThem() throws Exception {
        Files.createDirectory(folder);
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxrwxrwx"));
        assertLoaded(load());
        assertEquals("rwx------", mode(folder));
    }

    @Test
    void aLinkInItsPlaceIsNotFollowed() throws Exception {
        Path elsewhere = Files.createDirectory(temporary.resolve("elsewhere"));
        Files.createSymbolicLink(folder, elsewhere);
        assertLoaded(load());
        assertEquals(List.of(folder, elsewhere), all());
    }

    /** Hours since a load had a folder for itself, as on Windows each has, and whether another such load leaves it. */
    @ParameterizedTest
    @CsvSource({"2, false", "0, true"})
    void whatALoadOfItsOwnHasLeftIsDeletedByTheNext(int hours, boolean stays) throws Exception {
        Path elsewhere = Files.createDirectory(temporary.resolve("elsewhere"));
        Files.createSymbolicLink(folder, elsewhere);
        Path left = Files.createDirectory(temporary.resolve("d365failover1234567890"));
        Files.write(left.resolve(NAME), library);
        Files.setLastModifiedTime(left, FileTime.from(Instant.now().minus(Duration.ofHours(hours))));
        assertLoaded(load());
        assertEquals(stays, Files.exists(left.resolve(NAME)));
        assertEquals(stays, Files.exists(left));
    }

    @Test
    void anotherUsersFolderIsNotUsed() throws Exception {
        Assumptions.assumeTrue(
                System.getProperty("user.name").equals("root"), "NOT TESTED: only root can give a folder away");
        Files.createDirectory(folder);
        Files.setAttribute(folder, "unix:uid", 65534);
        assertLoaded(load());
        assertEquals(List.of(folder), all());
    }

    @Test
    void theFolderCanBeNamed() throws Exception {
        Path named = Files.createDirectory(temporary.resolve("named"));
        String said = new ChildJvm(Map.of())
                .option("-Djava.io.tmpdir=/no/such/folder")
                .option("-Dd365failover.library.dir=" + named)
                .run(Programs.LoadFails.class);
        assertLoaded(said);
        assertTrue(Files.isDirectory(named.resolve(folder.getFileName())));
    }

    /** What the folder's file system is mounted with, and what the error says beside what to do. */
    @ParameterizedTest
    @CsvSource({"ro, Read-only file system", "noexec, failed to map segment", "size=1m, No space left on device"})
    void aFolderThatIsOfNoUseIsToldWithWhatToDo(String option, String reason) throws Exception {
        String mount = "mount -t tmpfs -o " + option + " none '" + temporary + "' && exec \"$@\"";
        String said = child()
                .within("unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
                // Its performance data go to /tmp in any case.
                .option("-XX:-UsePerfData")
                .run(Programs.LoadFails.class);
        assertTold(said, reason);
    }

    @Test
    void aFolderThatIsNotThereIsToldWithWhatToDo() throws Exception {
        String said = new ChildJvm(Map.of())
                .option("-Djava.io.tmpdir=/no/such/folder")
                .run(Programs.LoadFails.class);
        assertTold(said, "NoSuchFileException");
        assertTrue(said.contains("/no/such/folder"), said);
    }

    private static void assertTold(String said, String reason) {
        assertTrue(said.contains("not loaded: "), said);
        assertTrue(said.contains(reason), said);
        assertTrue(said.contains("d365failover.library.dir"), said);
        assertTrue(said.contains("d365failover.library.path"), said);
    }

    private Path file() throws Exception {
        try (Stream<Path> versions = Files.list(folder)) {
            return versions.findFirst().orElseThrow().resolve(NAME);
        }
    }

    private List<Path> all() throws Exception {
        try (Stream<Path> files = Files.walk(temporary)) {
            // The JVM's own performance data.
            return files.filter(file -> !file.equals(temporary) && !file.toString().contains("hsperfdata"))
                    .sorted()
                    .collect(Collectors.toList());
        }
    }

    private static String mode(Path path) throws Exception {
        return PosixFilePermissions.toString(Files.getPosixFilePermissions(path, LinkOption.NOFOLLOW_LINKS));
    }
}
