package io.github.d365failover;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.d365failover.support.Mute;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Parameter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** A null where none is allowed is told by the parameter's name, by each public method of each public class. */
class NullArgumentsTest {
    private static final Map<Class<?>, Object> ARGUMENTS = new HashMap<>();

    static {
        ARGUMENTS.put(String.class, "x");
        ARGUMENTS.put(String[].class, new String[] {"x"});
        ARGUMENTS.put(byte[].class, new byte[] {1});
        ARGUMENTS.put(long.class, 1L);
        ARGUMENTS.put(int.class, 1);
        ARGUMENTS.put(boolean.class, true);
        ARGUMENTS.put(double.class, 0.5);
        ARGUMENTS.put(URI.class, URI.create("http://x"));
        ARGUMENTS.put(FailoverRequest.class, FailoverRequest.get("/x"));
        ARGUMENTS.put(Path.class, Path.of("x"));
        ARGUMENTS.put(Map.class, Map.of());
        ARGUMENTS.put(Duration.class, Duration.ofSeconds(1));
        ARGUMENTS.put(Instant.class, Instant.EPOCH);
        ARGUMENTS.put(InputStream.class, new ByteArrayInputStream(new byte[0]));
        ARGUMENTS.put(BodySource.class, (BodySource) () -> null);
    }

    @Test
    void everyMethodNamesIt() throws Exception {
        List<String> faults = Collections.synchronizedList(new ArrayList<>());
        List<String> tried = Collections.synchronizedList(new ArrayList<>());
        try (Mute mute = new Mute()) {
            mute.release();
            FailoverClientBuilder builder = mute.client().prepare(attempt -> tryAll(attempt, tried, faults));
            tryAll(mute.client(), tried, faults);
            try (FailoverClient client = builder.build()) {
                tryAll(client, tried, faults);
                tryAll(client.send(FailoverRequest.get(Mute.SILENT)), tried, faults);
                try (FailoverStreamingResponse response = client.sendStreaming(FailoverRequest.get(Mute.SILENT))) {
                    tryAll(response, tried, faults);
                }
            }
        }
        tryAll(FailoverRequest.builder("GET", "/x"), tried, faults);
        tryAll(ServiceFault.classify(503, Map.of(), new byte[0]).orElseThrow(), tried, faults);
        for (Class<?> type : publicClasses()) {
            tryStatics(type, tried, faults);
        }
        assertEquals(List.of(), faults);
        assertTrue(tried.size() > 60, tried.toString());
        // No class with such a method is forgotten.
        TreeSet<String> missing = new TreeSet<>();
        for (Class<?> type : publicClasses()) {
            for (Method method : methods(type)) {
                if (!type.isInterface() && !tried.contains(method.toString())) {
                    missing.add(method.toString());
                }
            }
        }
        assertEquals(List.of(), List.copyOf(missing));
    }

    @Test
    void aNullWithinAnArgumentIsNamedAsWell() {
        FailoverClientBuilder builder = FailoverClient.builder("http://x");
        Map<String, String> nothing = new HashMap<>();
        nothing.put("x:80", null);
        assertNamed("targets", () -> builder.connectTo(nothing));
        assertNamed("hosts", () -> builder.allowedHosts("x", null));
        assertNamed("names", () -> builder.allowedHostHeaders((String) null));
        Map<String, List<String>> status = new HashMap<>();
        status.put(null, List.of("HTTP/1.1 200 OK"));
        assertNamed("headers", () -> ServiceFault.classify(200, status, new byte[0]));
        assertNamed("headers", () -> ServiceFault.classify(200, Map.of("A", Arrays.asList("b", null)), new byte[0]));
    }

    /** What the application's own code gives is not a parameter, and is told by who has given it. */
    @Test
    void aNullThatTheApplicationsCodeGivesIsToldByWhoGaveIt() throws Exception {
        try (Mute mute = new Mute();
                FailoverClient client = mute.client().tokenProvider(request -> null).build()) {
            FailoverException failure = assertThrows(
                    FailoverException.class, () -> client.send(FailoverRequest.get(Mute.SILENT)));
            assertTrue(failure.getMessage().contains("the token provider has given no token"), failure.getMessage());
        }
        try (Mute mute = new Mute(); FailoverClient client = mute.client().build()) {
            FailoverRequest request = FailoverRequest.builder("POST", Mute.SILENT).body(() -> null).build();
            FailoverException failure = assertThrows(FailoverException.class, () -> client.send(request));
            // What the write in doubt failed with, and what that comes from.
            Throwable thrown = failure.getCause().getCause();
            assertEquals("the body's source has given no stream", thrown.getMessage());
        }
        try (Mute mute = new Mute(); FailoverClient client = mute.client().build()) {
            mute.release();
            // An action, of which no row tells.
            client.send(FailoverRequest.builder("POST", Mute.SILENT).body("{}").build());
            client.suspectSince(Instant.EPOCH);
            NullPointerException thrown = assertThrows(
                    NullPointerException.class, () -> client.verifyAll(entry -> null).count());
            assertEquals("verifyWith has given null", thrown.getMessage());
        }
    }

    private static void assertNamed(String name, Runnable deed) {
        NullPointerException thrown = assertThrows(NullPointerException.class, deed::run);
        assertEquals(name + ": a null in it", thrown.getMessage());
    }

    private static void tryAll(Object receiver, List<String> tried, List<String> faults) {
        for (Method method : methods(receiver.getClass())) {
            if (!Modifier.isStatic(method.getModifiers())) {
                tryOne(receiver, method, tried, faults);
            }
        }
    }

    private static void tryStatics(Class<?> type, List<String> tried, List<String> faults) {
        for (Method method : methods(type)) {
            if (Modifier.isStatic(method.getModifiers())) {
                tryOne(null, method, tried, faults);
            }
        }
    }

    /** Those that take what may be null by mistake. */
    private static List<Method> methods(Class<?> type) {
        return Arrays.stream(type.getDeclaredMethods())
                .filter(method -> Modifier.isPublic(method.getModifiers()) && !method.isSynthetic())
                .filter(method -> !method.getName().equals("equals") && !method.getName().equals("valueOf"))
                .filter(method -> Arrays.stream(method.getParameterTypes()).anyMatch(one -> !one.isPrimitive()))
                .collect(Collectors.toList());
    }

    private static void tryOne(Object receiver, Method method, List<String> tried, List<String> faults) {
        tried.add(method.toString());
        Parameter[] parameters = method.getParameters();
        for (int i = 0; i < parameters.length; i++) {
            if (parameters[i].getType().isPrimitive()) {
                continue;
            }
            Object[] arguments = new Object[parameters.length];
            for (int other = 0; other < parameters.length; other++) {
                arguments[other] = other == i ? null : argument(parameters[other].getType());
            }
            String told;
            try {
                method.invoke(receiver, arguments);
                told = "nothing";
            } catch (InvocationTargetException e) {
                Throwable thrown = e.getCause();
                told = thrown instanceof NullPointerException ? thrown.getMessage() : String.valueOf(thrown);
            } catch (IllegalAccessException e) {
                throw new AssertionError(e);
            }
            assertTrue(parameters[i].isNamePresent(), "the classes are compiled with -parameters");
            if (!parameters[i].getName().equals(told)) {
                faults.add(method + " says " + told + " of " + parameters[i].getName());
            }
        }
    }

    private static Object argument(Class<?> type) {
        Object argument = ARGUMENTS.get(type);
        if (argument == null && type.isEnum()) {
            return type.getEnumConstants()[0];
        }
        // Each method here has one of those at most, and that is the one to be null.
        assertNotNull(argument, type.toString());
        return argument;
    }

    private static List<Class<?>> publicClasses() throws Exception {
        Path folder = Path.of(FailoverClient.class.getResource("FailoverClient.class").toURI()).getParent();
        List<Class<?>> classes = new ArrayList<>();
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.collect(Collectors.toList())) {
                String name = file.getFileName().toString();
                if (name.endsWith(".class") && !name.startsWith("package-info")) {
                    Class<?> type = Class.forName("io.github.d365failover." + name.replace(".class", ""));
                    if (isPublic(type)) {
                        classes.add(type);
                    }
                }
            }
        }
        return classes;
    }

    private static boolean isPublic(Class<?> type) {
        return Modifier.isPublic(type.getModifiers())
                && (type.getEnclosingClass() == null || isPublic(type.getEnclosingClass()));
    }
}
