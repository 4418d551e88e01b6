package io.github.d365failover.impl;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.CharacterCodingException;

/** Packs what a native method gets. */
public final class PacketWriter {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final DataOutputStream out = new DataOutputStream(bytes);

    public PacketWriter int32(int value) {
        try {
            out.writeInt(value);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return this;
    }

    public PacketWriter int64(long value) {
        try {
            out.writeLong(value);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return this;
    }

    /**
     * Packs text as UTF-8.
     *
     * @throws CharacterCodingException half of a surrogate pair, which UTF-8 cannot say
     */
    public PacketWriter text(String value) throws CharacterCodingException {
        byte[] encoded = Utf8.encode(value);
        int32(encoded.length);
        bytes.write(encoded, 0, encoded.length);
        return this;
    }

    public byte[] toBytes() {
        return bytes.toByteArray();
    }
}
