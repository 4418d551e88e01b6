package io.github.d365failover.impl;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** Unpacks what a native method answered. */
public final class PacketReader {
    private final ByteBuffer in;

    public PacketReader(byte[] packet) {
        this.in = ByteBuffer.wrap(packet);
    }

    public int int32() {
        return in.getInt();
    }

    public long int64() {
        return in.getLong();
    }

    public boolean flag() {
        return in.getInt() != 0;
    }

    /** Whether an optional value follows. */
    public boolean present() {
        return in.get() != 0;
    }

    public byte[] bytes() {
        byte[] value = new byte[in.getInt()];
        in.get(value);
        return value;
    }

    public String text() {
        int length = in.getInt();
        String value = new String(in.array(), in.position(), length, StandardCharsets.UTF_8);
        in.position(in.position() + length);
        return value;
    }
}
