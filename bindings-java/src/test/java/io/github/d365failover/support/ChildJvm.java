package io.github.d365failover.support;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** A program in a JVM of its own, with the class path of this one. */
public final class ChildJvm {
    private final List<String> options = new ArrayList<>(List.of("-Xcheck:jni"));
    private final Map<String, String> environment;
    private final List<String> before = new ArrayList<>();
    private Path java = Path.of(System.getProperty("java.home"), "bin", "java");

    public ChildJvm(Map<String, String> environment) {
        this.environment = environment;
    }

    /** Another JVM than this one. */
    public ChildJvm java(Path other) {
        java = other;
        return this;
    }

    /** What starts the JVM, such as {@code unshare}. */
    public ChildJvm within(String... command) {
        before.addAll(Arrays.asList(command));
        return this;
    }

    public ChildJvm option(String option) {
        options.add(option);
        return this;
    }

    /** What it wrote to standard output and error. It must exit with 0, in time, and without a complaint of the JVM's. */
    public String run(Class<?> main, String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(before);
        command.add(java.toString());
        command.addAll(options);
        command.addAll(List.of("-cp", System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"))));
        command.add(main.getName());
        command.addAll(Arrays.asList(arguments));
        Path output = Files.createTempFile("d365-child", ".log");
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
        builder.environment().putAll(environment);
        Process process = builder.start();
        try {
            if (!process.waitFor(60, TimeUnit.SECONDS)) {
                throw new AssertionError("the JVM did not exit; it said " + Files.readString(output));
            }
            String text = Files.readString(output);
            if (process.exitValue() != 0) {
                throw new AssertionError("exit " + process.exitValue() + ": " + text);
            }
            for (String complaint : List.of("WARNING in native method", "FATAL ERROR in native method", "WARNING: JNI")) {
                if (text.contains(complaint)) {
                    throw new AssertionError("-Xcheck:jni complains: " + text);
                }
            }
            return text;
        } finally {
            process.destroyForcibly();
            Files.delete(output);
        }
    }
}
