package io.github.d365failover;

import io.github.d365failover.impl.Answer;
import io.github.d365failover.impl.PacketReader;
import java.util.OptionalLong;

/** How the body of an answer is had. */
abstract class ResponseKind<T> {
    static final ResponseKind<FailoverResponse> COLLECTED = new ResponseKind<>() {
        @Override
        boolean isStreaming() {
            return false;
        }

        @Override
        FailoverResponse make(PacketReader in, Answer answer, FailoverClient client) {
            return Outcome.response(in);
        }

        @Override
        Effect effect(FailoverResponse response) {
            return response.effect();
        }

        @Override
        OptionalLong ledgerId(FailoverResponse response) {
            return response.ledgerId();
        }

        @Override
        void discard(FailoverResponse response) {
            // Nothing but memory.
        }
    };

    static final ResponseKind<FailoverStreamingResponse> STREAMING = new ResponseKind<>() {
        @Override
        boolean isStreaming() {
            return true;
        }

        @Override
        FailoverStreamingResponse make(PacketReader in, Answer answer, FailoverClient client) {
            ResponseHead head = new ResponseHead(in);
            return new FailoverStreamingResponse(head, new ResponseBody(answer.response(), head, client));
        }

        @Override
        Effect effect(FailoverStreamingResponse response) {
            return response.effect();
        }

        @Override
        OptionalLong ledgerId(FailoverStreamingResponse response) {
            return response.ledgerId();
        }

        @Override
        void discard(FailoverStreamingResponse response) {
            response.close();
        }
    };

    /** Of a request that asks about a write. */
    static final ResponseKind<Verified> VERIFIED = new ResponseKind<>() {
        @Override
        boolean isStreaming() {
            return false;
        }

        @Override
        Verified make(PacketReader in, Answer answer, FailoverClient client) {
            return new ResponseHead(in).verified;
        }

        @Override
        Effect effect(Verified response) {
            return Effect.NONE;
        }

        @Override
        OptionalLong ledgerId(Verified response) {
            return OptionalLong.empty();
        }

        @Override
        void discard(Verified verified) {
            // Nothing but memory.
        }
    };

    /** Of a request for a step of a walk. */
    static final ResponseKind<SettleStep> STEP = new ResponseKind<>() {
        @Override
        boolean isStreaming() {
            return false;
        }

        @Override
        SettleStep make(PacketReader in, Answer answer, FailoverClient client) {
            return new ResponseHead(in).step;
        }

        @Override
        Effect effect(SettleStep response) {
            return Effect.NONE;
        }

        @Override
        OptionalLong ledgerId(SettleStep response) {
            return OptionalLong.empty();
        }

        @Override
        void discard(SettleStep step) {
            // Nothing but memory.
        }
    };

    /** Of a request that only waits for something. */
    static final ResponseKind<Void> NOTHING = new ResponseKind<>() {
        @Override
        boolean isStreaming() {
            return false;
        }

        @Override
        Void make(PacketReader in, Answer answer, FailoverClient client) {
            return null;
        }

        @Override
        Effect effect(Void response) {
            return Effect.NONE;
        }

        @Override
        OptionalLong ledgerId(Void response) {
            return OptionalLong.empty();
        }

        @Override
        void discard(Void response) {
            // There is nothing.
        }
    };

    private ResponseKind() {}

    abstract boolean isStreaming();

    abstract T make(PacketReader in, Answer answer, FailoverClient client);

    abstract Effect effect(T response);

    abstract OptionalLong ledgerId(T response);

    /** Nobody wants it any more. */
    abstract void discard(T response);

    /** The response, of a packet whose status is OK. */
    final T of(PacketReader in, Answer answer, FailoverClient client) {
        try {
            return make(in, answer, client);
        } catch (Throwable e) {
            answer.discard();
            throw e;
        }
    }
}
