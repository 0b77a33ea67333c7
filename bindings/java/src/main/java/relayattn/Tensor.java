package relayattn;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.Locale;

/**
 * Where a tensor [tokens, heads, dim] lies: a direct buffer, a heap array, or an address. It is
 * immutable and owns no element; make it once for each buffer and use it again in every step, so
 * that steps make no garbage.
 *
 * <p>Which shape and element type it must have is said where it is used, and checked there: a
 * buffer or array that is too small, of another element size, or read-only where it is written, is
 * {@link ErrorCode#ARGUMENT}, and nothing is touched. <em>An address is trusted</em>, within the
 * size that was given with it if any.
 *
 * <p>dim is always dense. Strides are in bytes; 0 stands for dense: the head stride is then dim *
 * element size, the token stride heads * dim * element size. Others are positive multiples of the
 * element size, so a part of a fused QKV buffer is passed as it is. The first element must be
 * aligned to its size.
 *
 * <p>Buffers and arrays are host memory, for CPU contexts. A CUDA context takes addresses of its
 * device's memory only, and refuses the others. Memory behind an address, or behind a buffer made
 * from a closeable arena, must stay valid until the work that uses it is done; other buffers are
 * kept alive by the call, or by the object that they were given to.
 */
public final class Tensor {
    private static final long UNKNOWN = Long.MAX_VALUE;

    final long address;
    final boolean onHost;
    private final long bytes;
    private final int elementSize; // 0: any
    private final boolean writable;
    private final long tokenStride;
    private final long headStride;
    private final HeapCopy heap;
    private final Buffer kept; // a field only so that the memory outlives this

    private Tensor(long address, long bytes, int elementSize, boolean writable, long tokenStride,
            long headStride, HeapCopy heap, Buffer kept) {
        this.address = address;
        this.bytes = bytes;
        this.elementSize = elementSize;
        this.writable = writable;
        this.tokenStride = tokenStride;
        this.headStride = headStride;
        this.heap = heap;
        this.kept = kept;
        this.onHost = kept != null;
    }

    /**
     * Memory at an address, such as {@code MemorySegment.address()} or a device pointer, whose size
     * is not checked.
     *
     * @param address of the first element
     * @return the tensor
     */
    public static Tensor ofAddress(long address) {
        return ofAddress(address, UNKNOWN);
    }

    /**
     * Memory at an address, of a size that is checked.
     *
     * @param address of the first element
     * @param bytes how many there are from there on, 0 or more
     * @return the tensor
     */
    public static Tensor ofAddress(long address, long bytes) {
        if (bytes < 0) {
            throw bad("Tensor.ofAddress: bytes is %d; it must not be negative", bytes);
        }
        return new Tensor(address, bytes, 0, true, 0, 0, null, null);
    }

    /**
     * The bytes of a direct buffer from its position to its limit, as they are now. They are
     * elements in the machine's byte order, whatever {@link ByteBuffer#order()} says.
     *
     * @param buffer a direct buffer
     * @return the tensor, for elements of any size
     */
    public static Tensor of(ByteBuffer buffer) {
        return ofDirect(buffer, 1, 0, buffer.isDirect(), ByteOrder.nativeOrder());
    }

    /**
     * The floats of a direct buffer from its position to its limit, as they are now.
     *
     * @param buffer a direct buffer in the machine's byte order
     * @return the tensor, for {@link Dtype#F32}
     */
    public static Tensor of(FloatBuffer buffer) {
        return ofDirect(buffer, Float.BYTES, Float.BYTES, buffer.isDirect(), buffer.order());
    }

    /**
     * The 16-bit elements of a direct buffer from its position to its limit, as they are now.
     *
     * @param buffer a direct buffer in the machine's byte order
     * @return the tensor, for {@link Dtype#F16} and {@link Dtype#BF16}
     */
    public static Tensor of(ShortBuffer buffer) {
        return ofDirect(buffer, Short.BYTES, Short.BYTES, buffer.isDirect(), buffer.order());
    }

    /**
     * A heap array: see {@link #of(float[], int, int)}.
     *
     * @param array the elements
     * @return the tensor, for {@link Dtype#F32}
     */
    public static Tensor of(float[] array) {
        return of(array, 0, array.length);
    }

    /**
     * A part of a heap array. Each call copies what it reads from the array to native memory and
     * what it writes back again, so direct buffers are faster. That memory, as large as the part,
     * is allocated here; so keep the tensor as long as the array is used. Heap tensors are dense,
     * and not for several threads at once.
     *
     * @param array the elements
     * @param offset index of the first
     * @param length how many
     * @return the tensor, for {@link Dtype#F32}
     * @throws IndexOutOfBoundsException if the part is not within the array
     */
    public static Tensor of(float[] array, int offset, int length) {
        return ofHeap(HeapCopy.of(array, offset, length), Float.BYTES);
    }

    /**
     * A heap array: see {@link #of(float[], int, int)}.
     *
     * @param array the elements' bits
     * @return the tensor, for {@link Dtype#F16} and {@link Dtype#BF16}
     */
    public static Tensor of(short[] array) {
        return of(array, 0, array.length);
    }

    /**
     * A part of a heap array: see {@link #of(float[], int, int)}.
     *
     * @param array the elements' bits
     * @param offset index of the first
     * @param length how many
     * @return the tensor, for {@link Dtype#F16} and {@link Dtype#BF16}
     * @throws IndexOutOfBoundsException if the part is not within the array
     */
    public static Tensor of(short[] array, int offset, int length) {
        return ofHeap(HeapCopy.of(array, offset, length), Short.BYTES);
    }

    /**
     * A heap array of bytes, as a tree mask is: see {@link #of(float[], int, int)}.
     *
     * @param array the bytes
     * @return the tensor, for elements of any size
     */
    public static Tensor of(byte[] array) {
        return ofHeap(HeapCopy.of(array, 0, array.length), 0);
    }

    /**
     * The same memory with other strides. Not for heap arrays.
     *
     * @param tokenBytes bytes from a token to the next; 0: dense
     * @param headBytes bytes from a head to the next; 0: dense
     * @return the tensor
     */
    public Tensor strides(long tokenBytes, long headBytes) {
        if (heap != null) {
            throw bad("Tensor.strides: this tensor is a heap array; these are always dense");
        }
        return new Tensor(address, bytes, elementSize, writable, tokenBytes, headBytes, null, kept);
    }

    private static Tensor ofDirect(Buffer buffer, int unit, int elementSize, boolean direct,
            ByteOrder order) {
        if (!direct) {
            throw bad("Tensor.of: the buffer is not direct; give its array instead");
        }
        if (order != ByteOrder.nativeOrder()) {
            throw bad("Tensor.of: the buffer's order is %s; it must be the machine's, %s", order,
                    ByteOrder.nativeOrder());
        }
        long start = Native.buffer_address(buffer) + (long) buffer.position() * unit;
        return new Tensor(start, (long) buffer.remaining() * unit, elementSize,
                !buffer.isReadOnly(), 0, 0, null, buffer);
    }

    private static Tensor ofHeap(HeapCopy heap, int elementSize) {
        return new Tensor(Native.buffer_address(heap.memory), heap.memory.capacity(), elementSize,
                true, 0, 0, heap, heap.memory);
    }

    static RelayAttentionException bad(String format, Object... values) {
        return new RelayAttentionException(ErrorCode.ARGUMENT,
                String.format(Locale.ROOT, format, values));
    }

    static long address(Tensor tensor) {
        return tensor == null ? 0 : tensor.address;
    }

    static long tokenStride(Tensor tensor) {
        return tensor == null ? 0 : tensor.tokenStride;
    }

    static long headStride(Tensor tensor) {
        return tensor == null ? 0 : tensor.headStride;
    }

    /** What a call does with a tensor. */
    enum Access {
        READ, WRITE
    }

    /**
     * Checks a tensor against its shape, and copies a heap array in if it is read.
     *
     * @return the bytes from its first element to its last, 0 for none; for copyOut
     */
    static long prepare(Tensor tensor, String name, Access access, boolean hostDevice, long tokens,
            long heads, long dim, Dtype dtype) {
        if (tensor == null) {
            return 0;
        }
        long needed = tensor.span(tokens, heads, dim, dtype.size);
        tensor.check(name, access, hostDevice, dtype);
        if (needed > tensor.bytes) {
            throw bad("%s has %d bytes; [%d, %d, %d] of %s with strides %d and %d needs %d", name,
                    tensor.bytes, tokens, heads, dim, dtype, tensor.tokenStride, tensor.headStride,
                    needed);
        }
        if (tensor.heap != null && access == Access.READ) {
            tensor.heap.in(needed);
        }
        return needed;
    }

    /** Copies what a call wrote to a heap array, if it is one. */
    static void copyOut(Tensor tensor, long bytes) {
        if (tensor != null && tensor.heap != null) {
            tensor.heap.out(bytes);
        }
    }

    /** Memory that an object keeps: known bytes, and no heap array. */
    static long size(Tensor tensor, String name, boolean hostDevice) {
        if (tensor == null) {
            return 0;
        }
        if (tensor.heap != null) {
            throw bad("%s is a heap array; it must be a direct buffer or an address", name);
        }
        if (tensor.bytes == UNKNOWN) {
            throw bad("%s is an address without a size; use Tensor.ofAddress(address, bytes)",
                    name);
        }
        tensor.check(name, Access.WRITE, hostDevice, null);
        return tensor.bytes;
    }

    /** Calls of several threads at once cannot share the native memory of a heap array. */
    static void refuseHeap(Tensor tensor, String name) {
        if (tensor != null && tensor.heap != null) {
            throw bad("%s is a heap array; workers need a direct buffer or an address", name);
        }
    }

    /** Strides of log-sum-exps, which the library counts in floats. */
    static long floatStride(String name, long stride) {
        if (stride % Float.BYTES != 0) {
            throw bad("%s has a stride of %d bytes; it must be a multiple of %d", name, stride,
                    Float.BYTES);
        }
        return stride / Float.BYTES;
    }

    private void check(String name, Access access, boolean hostDevice, Dtype dtype) {
        if (onHost && !hostDevice) {
            throw bad("%s is a buffer or array of the host; a CUDA context needs the address of "
                    + "its device's memory", name);
        }
        if (access == Access.WRITE && !writable) {
            throw bad("%s is a read-only buffer; it is written", name);
        }
        if (dtype != null && elementSize != 0 && elementSize != dtype.size) {
            throw bad("%s has elements of %d bytes; %s has %d", name, elementSize, dtype,
                    dtype.size);
        }
    }

    /** Strides that make no sense give 0 or anything: the library refuses them, as is its rule. */
    private long span(long tokens, long heads, long dim, int size) {
        if (tokens <= 0 || heads <= 0 || dim <= 0 || tokenStride < 0 || headStride < 0) {
            return 0;
        }
        long row = times(dim, size);
        long headBytes = headStride == 0 ? row : headStride;
        long tokenBytes = tokenStride == 0 ? times(heads, row) : tokenStride;
        return plus(plus(times(tokens - 1, tokenBytes), times(heads - 1, headBytes)), row);
    }

    /** Of numbers that are not negative; the largest long if the product is not one. */
    static long times(long a, long b) {
        long low = a * b;
        return Math.multiplyHigh(a, b) != 0 || low < 0 ? Long.MAX_VALUE : low;
    }

    private static long plus(long a, long b) {
        long sum = a + b;
        return sum < 0 ? Long.MAX_VALUE : sum;
    }
}
