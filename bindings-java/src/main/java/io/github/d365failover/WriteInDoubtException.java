package io.github.d365failover;

/**
 * A write that may have been executed or not: {@link #effect()} is {@link Effect#UNKNOWN}, whatever its call failed
 * with.
 *
 * <p>{@link #getCause()} is the exception that it would be if it were no write, with the same fields, such as a {@link
 * FailoverTimeoutException}. It is none of them itself, and no exception of the JDK's for what was lost or late: a loop
 * that repeats those does not catch it, and so does not do the write twice. What is to be done: look whether it is there
 * ({@link #ledgerId()}, {@link FailoverClient#ledger()}).
 */
public class WriteInDoubtException extends FailoverException {
    private static final long serialVersionUID = 1L;

    WriteInDoubtException(Failure failure, FailoverException fault) {
        super(failure.with(failure.kind(), fault));
    }
}
