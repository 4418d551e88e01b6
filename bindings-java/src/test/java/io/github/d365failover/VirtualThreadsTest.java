package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.ChildJvm;
import io.github.d365failover.support.LateJava;
import io.github.d365failover.support.Swallow;
import io.github.d365failover.support.Wait;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Virtual threads, in a JVM that has them, with two carriers and not one more. */
class VirtualThreadsTest {
    private static Path java;

    @BeforeAll
    static void find() throws Exception {
        java = LateJava.find().orElse(null);
        Assumptions.assumeTrue(
                java != null,
                "NOT TESTED: there is no JDK 21 or later, neither in /usr/lib/jvm nor named by -D" + LateJava.PROPERTY);
    }

    private static ChildJvm child() {
        return new ChildJvm(Map.of())
                .java(java)
                .option("--enable-native-access=ALL-UNNAMED")
                .option("-Djdk.virtualThreadScheduler.parallelism=2")
                .option("-Djdk.virtualThreadScheduler.maxPoolSize=2");
    }

    @Test
    void whatWaitsLeavesItsCarrierToOthers() throws Exception {
        String said = child().run(VirtualPrograms.Parks.class);
        System.out.println(said);
        assertTrue(said.contains("all parked"), said);
    }

    @Test
    void anInterruptEndsWhatAVirtualThreadWaitsFor() throws Exception {
        String said = child().run(VirtualPrograms.Interrupts.class);
        System.out.println(said);
        for (Wait wait : Wait.values()) {
            assertTrue(said.contains(wait + " ended: CANCELLED true"), wait + ": " + said);
        }
    }

    @Test
    void anInterruptThatTheApplicationSwallowsCancelsNothing() throws Exception {
        String said = child().run(VirtualPrograms.Swallows.class);
        for (Swallow swallow : Swallow.values()) {
            assertTrue(said.contains(swallow + " ended: 200"), swallow + ": " + said);
        }
    }

    @Test
    void aTokenProviderMayWaitForAVirtualThread() throws Exception {
        String said = child().run(VirtualPrograms.Provides.class);
        assertEquals(8, said.lines().filter("status 200"::equals).count(), said);
    }

    @Test
    void theApplicationIsAskedOnItsOwnThread() throws Exception {
        String said = child().run(VirtualPrograms.Asks.class);
        assertEquals("prepared by the sender\nopened by the sender\nstatus 200", said.strip());
    }
}
