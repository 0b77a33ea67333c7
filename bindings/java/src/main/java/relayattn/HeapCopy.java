package relayattn;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.Objects;

/** A part of a heap array, and native memory of the same size that calls use in its place. */
abstract class HeapCopy {
    final ByteBuffer memory;
    private final int elementSize;

    private HeapCopy(int elementSize, int arrayLength, int offset, int length) {
        Objects.checkFromIndexSize(offset, length, arrayLength);
        if (length > Integer.MAX_VALUE / elementSize) {
            throw Tensor.bad("Tensor.of: length is %d; arrays are copied through a direct "
                    + "buffer, so it must be at most %d", length, Integer.MAX_VALUE / elementSize);
        }
        this.elementSize = elementSize;
        memory = ByteBuffer.allocateDirect(length * elementSize).order(ByteOrder.nativeOrder());
    }

    final void in(long bytes) {
        copyIn((int) (bytes / elementSize));
    }

    final void out(long bytes) {
        copyOut((int) (bytes / elementSize));
    }

    abstract void copyIn(int elements);

    abstract void copyOut(int elements);

    static HeapCopy of(float[] array, int offset, int length) {
        return new Floats(array, offset, length);
    }

    static HeapCopy of(short[] array, int offset, int length) {
        return new Shorts(array, offset, length);
    }

    static HeapCopy of(byte[] array, int offset, int length) {
        return new Bytes(array, offset, length);
    }

    private static final class Floats extends HeapCopy {
        private final float[] array;
        private final int offset;
        private final FloatBuffer view = memory.asFloatBuffer();

        Floats(float[] array, int offset, int length) {
            super(Float.BYTES, array.length, offset, length);
            this.array = array;
            this.offset = offset;
        }

        @Override
        void copyIn(int elements) {
            view.put(0, array, offset, elements);
        }

        @Override
        void copyOut(int elements) {
            view.get(0, array, offset, elements);
        }
    }

    private static final class Shorts extends HeapCopy {
        private final short[] array;
        private final int offset;
        private final ShortBuffer view = memory.asShortBuffer();

        Shorts(short[] array, int offset, int length) {
            super(Short.BYTES, array.length, offset, length);
            this.array = array;
            this.offset = offset;
        }

        @Override
        void copyIn(int elements) {
            view.put(0, array, offset, elements);
        }

        @Override
        void copyOut(int elements) {
            view.get(0, array, offset, elements);
        }
    }

    private static final class Bytes extends HeapCopy {
        private final byte[] array;
        private final int offset;

        Bytes(byte[] array, int offset, int length) {
            super(Byte.BYTES, array.length, offset, length);
            this.array = array;
            this.offset = offset;
        }

        @Override
        void copyIn(int elements) {
            memory.put(0, array, offset, elements);
        }

        @Override
        void copyOut(int elements) {
            memory.get(0, array, offset, elements);
        }
    }
}
