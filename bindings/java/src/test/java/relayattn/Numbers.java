package relayattn;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Input data and comparisons of the shared scenario: tests/bindings/README.md says how. */
final class Numbers {
    /** Stands for minus infinity among wanted log-sum-exps. */
    private static final double NO_KEY = -1e300;

    private Numbers() {
    }

    /** A buffer of `size` elements made from a seed. */
    static ByteBuffer make(long seed, int size, Dtype dtype) {
        ByteBuffer buffer = room(size, dtype);
        long state = seed;
        for (int i = 0; i < size; ++i) {
            state = (state * 1103515245 + 12345) % (1L << 31);
            write(buffer, i, (int) ((state >> 16) % 255) - 127, dtype);
        }
        return buffer;
    }

    static ByteBuffer room(int size, Dtype dtype) {
        return ByteBuffer.allocateDirect(size * dtype.size).order(ByteOrder.nativeOrder());
    }

    static double read(ByteBuffer buffer, int index, Dtype dtype) {
        return switch (dtype) {
            case F32 -> buffer.getFloat(index * Float.BYTES);
            case BF16 -> Float.intBitsToFloat(buffer.getShort(index * Short.BYTES) << 16);
            case F16 -> half(buffer.getShort(index * Short.BYTES));
            default -> throw new AssertionError(dtype);
        };
    }

    static double tolerance(Dtype dtype) {
        return switch (dtype) {
            case F32 -> 3e-6;
            case F16 -> 5e-4;
            case BF16 -> 4e-3;
            default -> throw new AssertionError(dtype);
        };
    }

    static boolean close(double got, double want, double tolerance) {
        if (want == NO_KEY) {
            return got == Double.NEGATIVE_INFINITY;
        }
        return Math.abs(got - want) <= tolerance * (1 + Math.abs(want));
    }

    /** The number m / 64. */
    private static void write(ByteBuffer buffer, int index, int m, Dtype dtype) {
        switch (dtype) {
            case F32 -> buffer.putFloat(index * Float.BYTES, m / 64f);
            case BF16 -> buffer.putShort(index * Short.BYTES,
                    (short) (Float.floatToRawIntBits(m / 64f) >>> 16));
            case F16 -> buffer.putShort(index * Short.BYTES, halfOf(m));
            default -> throw new AssertionError(dtype);
        }
    }

    private static short halfOf(int m) {
        if (m == 0) {
            return 0;
        }
        int size = Math.abs(m);
        int e = 31 - Integer.numberOfLeadingZeros(size);
        int sign = m < 0 ? 1 : 0;
        return (short) (sign << 15 | (e + 9) << 10 | size << (10 - e) & 1023);
    }

    private static double half(short bits) {
        int e = bits >> 10 & 31;
        int fraction = bits & 1023;
        double size = e == 0 ? fraction * 0x1p-24 : (1024 + fraction) * Math.pow(2, e - 25);
        return bits < 0 ? -size : size;
    }
}
