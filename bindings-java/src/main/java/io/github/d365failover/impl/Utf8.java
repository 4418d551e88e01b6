package io.github.d365failover.impl;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Real UTF-8, and an error where {@link String#getBytes} would put a question mark. */
public final class Utf8 {
    private Utf8() {}

    /**
     * Encodes.
     *
     * @throws CharacterCodingException half of a surrogate pair
     */
    public static byte[] encode(String text) throws CharacterCodingException {
        ByteBuffer encoded = StandardCharsets.UTF_8
                .newEncoder()
                .onMalformedInput(CodingErrorAction.REPORT)
                .encode(CharBuffer.wrap(text));
        return Arrays.copyOf(encoded.array(), encoded.limit());
    }
}
