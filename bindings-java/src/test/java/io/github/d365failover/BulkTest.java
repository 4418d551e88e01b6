package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.ChildJvm;
import io.github.d365failover.support.Twin;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A gigabyte each way passes through, and is not gathered anywhere on the way. */
class BulkTest {
    private static final int MOST_KB = 400 << 10;
    private static Twin twin;

    @BeforeAll
    static void start() throws Exception {
        twin = Twin.startWithHttp2();
    }

    @AfterAll
    static void stop() throws Exception {
        twin.close();
    }

    private static void flat(Class<?> program, String version, String... more) throws Exception {
        String[] arguments = Stream.concat(Stream.of(version), Stream.of(more)).toArray(String[]::new);
        String said = new ChildJvm(twin.environment()).option("-Xmx64m").run(program, arguments);
        Matcher peak = Pattern.compile(version + " 1073741824 peak_kb=(\\d+)").matcher(said);
        assertTrue(peak.find(), said);
        assertTrue(Integer.parseInt(peak.group(1)) < MOST_KB, said);
    }

    @ParameterizedTest
    @ValueSource(strings = {"HTTP_1_1", "HTTP_2"})
    void download(String version) throws Exception {
        flat(BulkPrograms.Download.class, version);
    }

    @ParameterizedTest
    @CsvSource({"HTTP_1_1, unknown", "HTTP_2, known"})
    void upload(String version, String length) throws Exception {
        flat(BulkPrograms.Upload.class, version, length);
    }
}
