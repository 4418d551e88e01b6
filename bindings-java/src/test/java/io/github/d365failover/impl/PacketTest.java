package io.github.d365failover.impl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class PacketTest {
    @Test
    void whatIsPackedIsUnpacked() throws Exception {
        String text = "a\0ä𝄞😀";
        byte[] packet = new PacketWriter().int32(-7).int64(Long.MIN_VALUE).text(text).text("").toBytes();
        PacketReader in = new PacketReader(packet);
        assertEquals(-7, in.int32());
        assertEquals(Long.MIN_VALUE, in.int64());
        assertEquals(text, in.text());
        assertEquals("", in.text());
    }

    @Test
    void textIsRealUtf8() throws Exception {
        assertArrayEquals(new byte[] {0, (byte) 0xF0, (byte) 0x9F, (byte) 0x98, (byte) 0x80}, Utf8.encode("\0😀"));
        String text = "grüße 𝄞 \0 end";
        assertArrayEquals(text.getBytes(StandardCharsets.UTF_8), Utf8.encode(text));
        for (String half : new String[] {"\uD83D", "\uDE00", "a\uD83Db", "\uDE00\uD83D"}) {
            assertThrows(CharacterCodingException.class, () -> Utf8.encode(half));
        }
    }
}
