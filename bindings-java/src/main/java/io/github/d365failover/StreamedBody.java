package io.github.d365failover;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;

/** What a request says of a body that is read while it is sent. */
abstract class StreamedBody {
    static final long UNKNOWN_LENGTH = -1;

    /** From the first byte on. */
    abstract InputStream open() throws IOException;

    /** In bytes, or {@link #UNKNOWN_LENGTH}. */
    abstract long length() throws IOException;

    /** Whether {@link #open} can be called again. */
    boolean canRewind() {
        return true;
    }

    /** The call that is about to begin has it; false: it is another call's for ever. */
    boolean take() {
        return true;
    }

    static StreamedBody of(BodySource source, long length) {
        Objects.requireNonNull(source, "source");
        return new StreamedBody() {
            @Override
            InputStream open() throws IOException {
                return source.open();
            }

            @Override
            long length() {
                return length;
            }
        };
    }

    static StreamedBody of(Path file) {
        Objects.requireNonNull(file, "file");
        return new StreamedBody() {
            @Override
            InputStream open() throws IOException {
                return Files.newInputStream(file);
            }

            @Override
            long length() throws IOException {
                BasicFileAttributes attributes = Files.readAttributes(file, BasicFileAttributes.class);
                // A pipe gives something else the second time; and once the head has left, a write is in doubt.
                if (!attributes.isRegularFile()) {
                    throw new FileSystemException(file.toString(), null, "it is no file: give what it has as a stream");
                }
                if (!Files.isReadable(file)) {
                    throw new AccessDeniedException(file.toString());
                }
                return attributes.size();
            }
        };
    }

    static StreamedBody once(InputStream stream, long length) {
        Objects.requireNonNull(stream, "stream");
        AtomicBoolean taken = new AtomicBoolean();
        return new StreamedBody() {
            @Override
            InputStream open() {
                return stream;
            }

            @Override
            long length() {
                return length;
            }

            @Override
            boolean canRewind() {
                return false;
            }

            @Override
            boolean take() {
                return taken.compareAndSet(false, true);
            }
        };
    }
}
