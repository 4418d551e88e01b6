package io.github.d365failover;

import java.lang.System.Logger.Level;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import java.util.function.Function;

/** The listeners of one kind of event. */
final class Audience<E> {
    private final int kind;
    private final Function<EventItem, E> event;
    private final List<Consumer<E>> listeners = new CopyOnWriteArrayList<>();

    Audience(int kind, Function<EventItem, E> event) {
        this.kind = kind;
        this.event = event;
    }

    int kind() {
        return kind;
    }

    /** The kind's bit, if anybody listens. */
    long bit() {
        return listeners.isEmpty() ? 0 : 1L << kind;
    }

    /** One that is the same as another is told twice. */
    void add(Consumer<E> listener) {
        listeners.add(listener);
    }

    void remove(Consumer<E> listener) {
        listeners.remove(listener);
    }

    /** Tells all of them; one that was removed meanwhile may still be told. */
    E tell(EventItem item) {
        E made = event.apply(item);
        for (Consumer<E> listener : listeners) {
            try {
                listener.accept(made);
            } catch (Throwable e) {
                // Errors too: an assertion that fails in a listener must not stop the event thread.
                Complaint.log(Level.ERROR, "a listener failed; the client goes on", e);
            }
        }
        return made;
    }
}
