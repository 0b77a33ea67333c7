package relayattn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static relayattn.Scene.assertCode;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Buffers and arrays are checked against shapes, and all kinds of memory give the same result. */
final class TensorTest {
    private final Scene scene = new Scene();
    private final Sequence sequence = Sequence.attach(scene.cache, null);
    private float[] expected;

    @BeforeEach
    void begin() {
        scene.batch.begin(new BatchInput().add(sequence, 3).paddedTokens(1));
        scene.batch.attend(0, scene.args());
        expected = floatsOf(scene.out);
        Arrays.fill(expected, 4 * Scene.ROW, expected.length, -1);
        fill(scene.out, -1);
    }

    @AfterEach
    void end() {
        sequence.close();
        scene.close();
    }

    @Test
    void tooSmallATensorIsRefusedAndNothingIsTouched() {
        int rows = 4 * Scene.ROW;
        int news = 3 * Scene.ROW;
        refused(scene.args().out(Tensor.of(part(scene.out, 0, rows - 1))), "out has 1020 bytes");
        refused(scene.args().q(Tensor.of(part(scene.q, 0, rows - 1))), "q has 1020 bytes");
        refused(scene.args().k(Tensor.of(part(scene.k, 0, news - 1))), "k has 764 bytes");
        refused(scene.args().v(Tensor.of(part(scene.v, 0, news - 1))), "v has 764 bytes");
        refused(scene.args().lse(Tensor.of(Scene.floats(7))), "lse has 28 bytes");
        refused(scene.args().out(Tensor.of(new float[rows - 1])), "out has 1020 bytes");
        refused(scene.args().out(Tensor.ofAddress(Tensor.of(scene.out).address, 1020)),
                "out has 1020 bytes");
    }

    @Test
    void exactlyLargeEnoughIsTaken() {
        scene.batch.attend(0, scene.args().out(Tensor.of(part(scene.out, 0, 4 * Scene.ROW)))
                .lse(Tensor.of(Scene.floats(8))));
        assertArrayEquals(expected, floatsOf(scene.out));
    }

    @Test
    void stridesCount() {
        long row = Scene.ROW * Float.BYTES;
        Tensor wide = Tensor.of(scene.out).strides(2 * row, 0);
        scene.batch.attend(0, scene.args().out(wide));
        for (int t = 0; t < 4; ++t) {
            assertArrayEquals(Arrays.copyOfRange(expected, t * Scene.ROW, (t + 1) * Scene.ROW),
                    Arrays.copyOfRange(floatsOf(scene.out), 2 * t * Scene.ROW,
                            (2 * t + 1) * Scene.ROW));
        }
        refused(scene.args().out(Tensor.of(scene.out).strides(3 * row, 0)), "strides 768 and 0");
        refused(scene.args().out(Tensor.of(scene.out).strides(Long.MAX_VALUE / 2, 0)), "needs");
        refused(scene.args().out(Tensor.of(scene.out).strides(-4, 0)), "stride");
        refused(scene.args().out(Tensor.of(scene.out).strides(6, 0)), "stride");
    }

    @Test
    void positionAndLimitOfABufferCount() {
        FloatBuffer large = Scene.floats(100 + 4 * Scene.ROW);
        large.position(100);
        scene.batch.attend(0, scene.args().out(Tensor.of(large)));
        assertArrayEquals(Arrays.copyOf(expected, 4 * Scene.ROW),
                Arrays.copyOfRange(floatsOf(large.clear()), 100, 100 + 4 * Scene.ROW));
        large.position(101);
        refused(scene.args().out(Tensor.of(large)), "out has 1020 bytes");
    }

    @Test
    void heapArraysGiveTheSameResult() {
        float[] out = new float[10 + 4 * Scene.ROW];
        float[] lse = new float[8];
        AttendArgs args = new AttendArgs().q(Tensor.of(floatsOf(scene.q)))
                .k(Tensor.of(floatsOf(scene.k))).v(Tensor.of(floatsOf(scene.v)))
                .out(Tensor.of(out, 10, 4 * Scene.ROW)).lse(Tensor.of(lse));
        scene.batch.attend(0, args);
        assertArrayEquals(new float[10], Arrays.copyOf(out, 10));
        assertArrayEquals(Arrays.copyOf(expected, 4 * Scene.ROW),
                Arrays.copyOfRange(out, 10, out.length));
        FloatBuffer direct = Scene.floats(8);
        scene.batch.attend(0, scene.args().lse(Tensor.of(direct)));
        assertArrayEquals(floatsOf(direct), lse);
        assertEquals(Float.NEGATIVE_INFINITY, lse[6]);
        assertTrue(Float.isFinite(lse[5]));
    }

    @Test
    void byteBuffersAndAddressesGiveTheSameResult() {
        ByteBuffer bytes = ByteBuffer.allocateDirect(4 * Scene.ROW * Float.BYTES);
        scene.batch.attend(0, scene.args().out(Tensor.of(bytes)));
        float[] got = new float[4 * Scene.ROW];
        bytes.order(ByteOrder.nativeOrder()).asFloatBuffer().get(got);
        assertArrayEquals(Arrays.copyOf(expected, 4 * Scene.ROW), got);

        scene.batch.attend(0, scene.args().out(Tensor.ofAddress(Tensor.of(scene.out).address))
                .q(Tensor.ofAddress(Tensor.of(scene.q).address)));
        assertArrayEquals(expected, floatsOf(scene.out));
    }

    @Test
    void transposedLogSumExps() {
        FloatBuffer dense = Scene.floats(8);
        scene.batch.attend(0, scene.args().lse(Tensor.of(dense)));
        FloatBuffer turned = Scene.floats(8);
        scene.batch.attend(0, scene.args().lse(Tensor.of(turned).strides(4, 16)));
        for (int i = 0; i < 8; ++i) {
            assertEquals(dense.get(i), turned.get(i % 2 * 4 + i / 2));
        }
        refused(scene.args().lse(Tensor.of(dense).strides(6, 0)), "lse has a stride of 6 bytes");
    }

    @Test
    void memoryThatCannotBe() {
        refused(scene.args().out(Tensor.of(scene.out.asReadOnlyBuffer())), "read-only");
        refused(scene.args().out(Tensor.of(new short[8 * Scene.ROW])), "elements of 2 bytes");
        ByteBuffer odd = ByteBuffer.allocateDirect(9 * Scene.ROW * Float.BYTES).position(1);
        refused(scene.args().out(Tensor.of(odd)), "align");
        assertCode(ErrorCode.ARGUMENT, () -> Tensor.of(FloatBuffer.allocate(8)));
        assertCode(ErrorCode.ARGUMENT, () -> Tensor.of(ByteBuffer.allocateDirect(64)
                .order(ByteOrder.BIG_ENDIAN).asFloatBuffer()));
        assertCode(ErrorCode.ARGUMENT, () -> Tensor.of(new float[8]).strides(4, 4));
        assertCode(ErrorCode.ARGUMENT, () -> Tensor.ofAddress(1, -1));
        assertThrows(IndexOutOfBoundsException.class, () -> Tensor.of(new float[8], 4, 5));
        assertThrows(IndexOutOfBoundsException.class, () -> Tensor.of(new short[8], -1, 2));
        scene.batch.attend(0, scene.args().q(Tensor.of(scene.q.asReadOnlyBuffer())));
        assertArrayEquals(expected, floatsOf(scene.out));
    }

    @Test
    void paddedRowsCountAndHaveABound() {
        scene.batch.abort();
        for (long padded : new long[] {-1, 1L << 31, Long.MAX_VALUE}) {
            assertCode(ErrorCode.ARGUMENT, () -> scene.batch.begin(
                    new BatchInput().add(sequence, 1).paddedTokens(padded)));
        }
        scene.batch.begin(new BatchInput().add(sequence, 1).paddedTokens(1 << 16));
        refused(scene.args(), "bytes");
        scene.batch.abort();
        scene.batch.beginDummy(0, Integer.MAX_VALUE, Integer.MAX_VALUE, 0);
        scene.batch.attend(0, scene.args());
    }

    @Test
    void prefixTensorsAreChecked() {
        Tensor small = Tensor.of(part(scene.k, 0, 5 * Scene.ROW - 1));
        Tensor k = Tensor.of(scene.k);
        try (Prefix prefix = Prefix.create(scene.cache, null, 5)) {
            assertCode(ErrorCode.ARGUMENT, () -> prefix.write(0, 0, 5, small, k));
            assertCode(ErrorCode.ARGUMENT, () -> prefix.write(0, 0, 5, k, small));
            assertCode(ErrorCode.ARGUMENT, () -> prefix.write(0, 1, 5, k, k));
            assertCode(ErrorCode.ARGUMENT, () -> prefix.write(1, 0, 5, k, k));
            assertCode(ErrorCode.ARGUMENT, () -> prefix.write(0, 0, Long.MAX_VALUE, k, k));
            assertCode(ErrorCode.ARGUMENT, () -> prefix.write(0, 0, -1, k, k));
            prefix.write(0, 0, 5, k, Tensor.of(scene.v));
            float[] back = new float[5 * Scene.ROW];
            float[] backV = new float[5 * Scene.ROW + 9];
            prefix.read(0, 0, 5, Tensor.of(back), Tensor.of(backV));
            assertArrayEquals(Arrays.copyOf(floatsOf(scene.k), 5 * Scene.ROW), back);
            assertArrayEquals(Arrays.copyOf(floatsOf(scene.v), 5 * Scene.ROW),
                    Arrays.copyOf(backV, 5 * Scene.ROW));
            assertArrayEquals(new float[9], Arrays.copyOfRange(backV, 5 * Scene.ROW, backV.length));
            assertCode(ErrorCode.ARGUMENT,
                    () -> prefix.read(0, 0, 5, small, Tensor.of(new float[400])));
        }
    }

    @Test
    void aLayerThatDoesNotExistIsRefused() {
        for (long layer : new long[] {-1, 1, Long.MAX_VALUE, Long.MIN_VALUE}) {
            assertCode(ErrorCode.ARGUMENT, () -> scene.batch.attend(layer, scene.args()));
        }
        assertFalse(Float.isNaN(scene.out.get(0)));
    }

    private void refused(AttendArgs args, String text) {
        fill(scene.out, -2);
        RelayAttentionException e =
                assertCode(ErrorCode.ARGUMENT, () -> scene.batch.attend(0, args));
        assertTrue(e.getMessage().contains(text), e.getMessage());
        for (int i = 0; i < scene.out.capacity(); ++i) {
            assertEquals(-2, scene.out.get(i));
        }
        fill(scene.out, -1);
    }

    private static FloatBuffer part(FloatBuffer buffer, int begin, int length) {
        return buffer.slice(begin, length);
    }

    private static void fill(FloatBuffer buffer, float value) {
        for (int i = 0; i < buffer.capacity(); ++i) {
            buffer.put(i, value);
        }
    }

    private static float[] floatsOf(FloatBuffer buffer) {
        float[] values = new float[buffer.capacity()];
        buffer.get(0, values);
        return values;
    }
}
