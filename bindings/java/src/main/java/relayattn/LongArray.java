package relayattn;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;

/** A growing array of longs in native memory, which calls read without copying. */
final class LongArray {
    private LongBuffer memory = allocate(16);
    private long address = Native.buffer_address(memory);
    private int size;

    void add(long value) {
        if (size == memory.capacity()) {
            LongBuffer larger = allocate(Math.multiplyExact(size, 2));
            larger.put(0, memory, 0, size);
            memory = larger;
            address = Native.buffer_address(larger);
        }
        memory.put(size++, value);
    }

    void clear() {
        size = 0;
    }

    int size() {
        return size;
    }

    long get(int index) {
        return memory.get(index);
    }

    long address() {
        return address;
    }

    private static LongBuffer allocate(int longs) {
        int bytes = Math.multiplyExact(longs, Long.BYTES);
        return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder()).asLongBuffer();
    }
}
