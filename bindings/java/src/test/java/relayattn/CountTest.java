package relayattn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static relayattn.Scene.assertCode;

import org.junit.jupiter.api.Test;

/** Counts and sizes keep their upper halves, in both directions. */
final class CountTest {
    private static final long LARGE = Integer.MAX_VALUE + 1L;

    @Test
    void countAbove31BitsReachesTheLibrary() {
        RelayAttentionException e = assertCode(ErrorCode.ARGUMENT, () -> Model.create(LARGE));
        assertTrue(e.getMessage().contains("2147483648"), e.getMessage());
        try (Scene scene = new Scene(); Sequence s = Sequence.attach(scene.cache, null)) {
            e = assertCode(ErrorCode.ARGUMENT, () -> s.truncate((1L << 32) + 1));
            assertTrue(e.getMessage().contains("4294967297"), e.getMessage());
        }
    }

    @Test
    void countAbove31BitsComesBack() {
        try (Scene scene = new Scene(); Model model = Model.create(1)) {
            model.setLayers(0, 1, new LayerOptions(64, 64, 256).dtype(Dtype.F32));
            long bytes = Cache.memory(scene.context, model, new CacheOptions(1 << 20).pageSize(16));
            long kv = (1L << 20) * 2 * 64 * 256 * Float.BYTES;
            assertTrue(bytes >= kv && bytes < kv + kv / 4, "memory is " + bytes);
        }
    }

    @Test
    void countsInNativeArraysAreWhole() {
        LongArray array = new LongArray();
        for (int i = 0; i < 100; ++i) {
            array.add(LARGE + i);
        }
        for (int i = 0; i < 100; ++i) {
            assertEquals(LARGE + i, array.get(i));
        }
        try (Scene scene = new Scene(); Sequence s = Sequence.attach(scene.cache, null)) {
            RelayAttentionException e = assertCode(ErrorCode.ARGUMENT,
                    () -> scene.batch.begin(new BatchInput().add(s, LARGE)));
            assertTrue(e.getMessage().contains("2147483648"), e.getMessage());
        }
    }

    @Test
    void countsOfACommitAreWhole() {
        try (Scene scene = new Scene(); Sequence s = Sequence.attach(scene.cache, null)) {
            scene.batch.begin(new BatchInput().add(s, 2));
            RelayAttentionException e = assertCode(ErrorCode.ARGUMENT,
                    () -> scene.batch.commit(new long[] {LARGE}));
            assertTrue(e.getMessage().contains("2147483648"), e.getMessage());
            scene.batch.commit(new long[] {1});
            assertEquals(1, s.length());
        }
    }

    @Test
    void addressesAbove31BitsAreWhole() {
        try (Scene scene = new Scene()) {
            PageLayout layout = scene.cache.layout(0);
            assertEquals(16, layout.pageSize());
            assertEquals(scene.cache.totalPages(0), layout.numPages());
            assertTrue(layout.packed());
            assertTrue(layout.kPages() > LARGE && layout.vPages() > LARGE);
            assertTrue(layout.kPageStride() > 0 && layout.vPageStride() > 0);
        }
    }
}
