/**
 * A client for Dynamics 365 and Dataverse services that fails over to the alternate organization, as the .NET SDK does.
 *
 * <p>Start with {@link io.github.d365failover.FailoverClient}. All classes of this package are safe for use by several
 * threads, builders excepted.
 *
 * <h2>The native library</h2>
 *
 * The jar holds it. It is looked for in this order: the file that the system property {@code
 * d365failover.library.path} names; {@code java.library.path}; the resource of the jar, of which each user has one copy
 * of each version, in a folder of his own under {@code java.io.tmpdir}, or under the folder that the system property
 * {@code d365failover.library.dir} names. If that may not hold executable code, set one of the two. Processes share the
 * copy, and so do class loaders; on Windows each has its own. From JDK 24 on the JVM warns unless it is started with {@code
 * --enable-native-access=ALL-UNNAMED} (or, on the module path, {@code =io.github.d365failover}).
 *
 * <h2>Large bodies</h2>
 *
 * A request's body can be read while it is sent, from a file, a {@link io.github.d365failover.BodySource}, or a stream
 * that can be read once ({@link io.github.d365failover.FailoverRequest.Builder}); a response's can be read from the
 * connection ({@link io.github.d365failover.FailoverClient#sendStreaming}). Neither is then gathered in memory.
 *
 * <h2>Writes that nobody knows of</h2>
 *
 * Each write is on record from before it is sent ({@link io.github.d365failover.FailoverClient#ledger}). One whose fate
 * is not known raises {@code WriteInDoubt}; a switch after which writes may be missing raises {@code DataLossSuspected}.
 * {@link io.github.d365failover.FailoverClient#suspects} lists them, the application looks at the service, and {@link
 * io.github.d365failover.FailoverClient#resolve} takes what it has found.
 *
 * <h2>Threads</h2>
 *
 * No thread of the native library enters the JVM. The bodies of requests and {@link
 * io.github.d365failover.AttemptPreparer} run on the thread that is inside of {@code send}, or for {@code sendAsync} on a
 * daemon thread of the client's; token providers and listeners on daemon threads of the client's. What
 * the library has to say goes to the {@link java.lang.System.Logger} {@code io.github.d365failover}, from the thread of
 * the listeners.
 *
 * <h2>Errors</h2>
 *
 * <ul>
 *   <li>{@link io.github.d365failover.FailoverException}, an {@link java.io.IOException}: a call that ended without a
 *       usable response, or a client that is closed. {@link io.github.d365failover.FailoverTimeoutException} is the one
 *       for {@code timeout}; {@link io.github.d365failover.WriteInDoubtException} the one for a write that may have been
 *       executed, whatever it failed with: no loop that repeats what was lost or late catches it.
 *   <li>{@link io.github.d365failover.FailoverUsageException}, an {@link java.lang.IllegalArgumentException}: an
 *       argument that never works.
 *   <li>{@link io.github.d365failover.FailoverStateException}, an {@link java.lang.IllegalStateException}: a client
 *       that is closed, or an environment in which no client can be made.
 *   <li>{@link java.lang.NullPointerException}: a null where none is allowed, which is everywhere unless said.
 * </ul>
 */
package io.github.d365failover;
