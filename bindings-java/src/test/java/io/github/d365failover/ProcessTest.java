package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.ChildJvm;
import io.github.d365failover.support.Twin;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What only a process of its own can show. Each runs with {@code -Xcheck:jni}, and fails if that complains. */
class ProcessTest {
    private static Twin twin;

    @TempDir
    Path temporary;

    @BeforeAll
    static void start() throws Exception {
        twin = Twin.start();
    }

    @AfterAll
    static void stop() throws Exception {
        twin.close();
    }

    private ChildJvm child() {
        return new ChildJvm(twin.environment()).option("-Djava.io.tmpdir=" + temporary);
    }

    @Test
    void theJvmExitsWhenMainReturnsWithoutClose() throws Exception {
        String said = child().run(Programs.NeverCloses.class);
        assertTrue(said.contains("main returns"), said);
    }

    @Test
    void javaLibraryPathIsLookedAt() throws Exception {
        Path library = temporary.resolve(System.mapLibraryName("d365_failover_jni"));
        Files.writeString(library, "no library");
        String said = child().option("-Djava.library.path=" + temporary).run(Programs.LoadFails.class);
        assertTrue(said.contains("cannot load " + library + ", to which the system property java.library.path"), said);
    }

    @ParameterizedTest
    @ValueSource(strings = {"/no/such/file", "/", "/etc/passwd"})
    void aNamedFileThatIsNoLibraryIsNotPassedOver(String file) throws Exception {
        String said = child().option("-Dd365failover.library.path=" + file).run(Programs.LoadFails.class);
        String wanted = "cannot load " + file + ", to which the system property d365failover.library.path leads: ";
        assertTrue(said.contains(wanted), said);
    }

    @Test
    void anAnswerThatDoesNotFitIntoMemoryFailsOneCall() throws Exception {
        String said = child().option("-Xmx48m").run(Programs.TooLarge.class);
        assertTrue(said.contains("large: java.lang.OutOfMemoryError"), said);
        assertTrue(said.contains("under way: 200"), said);
        assertTrue(said.contains("later: 200"), said);
        assertTrue(said.contains("switched: 1"), said);
    }

    @Test
    void theJvmHasNothingToComplainOf() throws Exception {
        String said = child().run(Programs.Everything.class);
        assertTrue(said.contains("everything done"), said);
    }
}
