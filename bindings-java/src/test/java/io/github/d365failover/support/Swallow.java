package io.github.d365failover.support;

import io.github.d365failover.FailoverClient;
import io.github.d365failover.FailoverClientBuilder;
import io.github.d365failover.FailoverRequest;
import java.io.InputStream;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;

/** Code of the application's, asked during a call, that is interrupted, makes nothing of it and goes on. */
public enum Swallow {
    READ,
    OPEN,
    PREPARE;

    /** Sends, on this thread; {@code asked} is open when it is to be interrupted. Its answer comes after that. */
    public Callable<Integer> call(Mute mute, CountDownLatch asked) {
        Runnable wait = () -> {
            asked.countDown();
            try {
                new CountDownLatch(1).await();
            } catch (InterruptedException e) {
                mute.release();
            }
        };
        return () -> {
            FailoverClientBuilder builder = mute.client();
            if (this == PREPARE) {
                builder.prepare(attempt -> wait.run());
            }
            FailoverRequest.Builder request = FailoverRequest.builder("POST", Mute.SILENT);
            if (this != PREPARE) {
                request.body(() -> {
                    if (this == OPEN) {
                        wait.run();
                    }
                    return stream(wait);
                });
            }
            try (FailoverClient client = builder.build()) {
                return client.send(request.build()).status();
            }
        };
    }

    private InputStream stream(Runnable wait) {
        return new InputStream() {
            @Override
            public int read() {
                if (Swallow.this == READ) {
                    wait.run();
                }
                return -1;
            }
        };
    }
}
