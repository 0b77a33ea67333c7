package relayattn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static relayattn.Scene.assertCode;

import java.nio.ByteBuffer;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** What the shared scenario has no operation for. */
final class FeatureTest {
    @Test
    void propertiesOfACpuContext() {
        try (Context context = Context.create(new ContextOptions().backend(Backend.CPU)
                .numThreads(2))) {
            assertEquals(Backend.CPU, context.backend());
            assertEquals(0, context.ordinal());
            assertEquals(2, context.numThreads());
            assertTrue(context.pageSize() > 0);
            assertEquals(0, context.computeCapability());
            assertFalse(context.graphs());
            assertTrue(context.isa().number >= 0);
        }
        assertTrue(Context.libraryVersion() >= NativeConstants.RA_VERSION);
        assertCode(ErrorCode.UNSUPPORTED, () -> Context.create(new ContextOptions().numaNode(0)));
    }

    @Test
    void constantsOfEnumsStandAtTheirNumbers() {
        for (Isa isa : Isa.values()) {
            assertEquals(isa.ordinal(), isa.number);
        }
        for (Dtype dtype : Dtype.values()) {
            assertEquals(dtype.ordinal() + 1, dtype.number);
        }
    }

    @Test
    void workersComputeWhatAttendDoes() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(2);
        try (Scene scene = new Scene(); Sequence sequence = Sequence.attach(scene.cache, null)) {
            scene.batch.begin(new BatchInput().add(sequence, Scene.MOST));
            scene.batch.attend(0, scene.args());
            float[] expected = values(scene);
            scene.batch.abort();

            scene.batch.begin(new BatchInput().add(sequence, Scene.MOST));
            scene.batch.attend(0, scene.args().q(null).out(null));
            AttendArgs args = scene.args().k(null).v(null);
            assertCode(ErrorCode.ARGUMENT, () -> scene.batch.attendWorker(0, args, 2, 2));
            assertCode(ErrorCode.ARGUMENT, () -> scene.batch.attendWorker(0, args, 0, 0));
            assertCode(ErrorCode.ARGUMENT, () -> scene.batch.attendWorker(0, scene.args(), 0, 1));
            AttendArgs onHeap = scene.args().k(null).v(null).out(Tensor.of(new float[4096]));
            assertCode(ErrorCode.ARGUMENT, () -> scene.batch.attendWorker(0, onHeap, 0, 1));
            Future<?> one = threads.submit(() -> scene.batch.attendWorker(0, args, 0, 2));
            Future<?> two = threads.submit(() -> scene.batch.attendWorker(0, args, 1, 2));
            one.get();
            two.get();
            assertArrayEquals(expected, values(scene));
            scene.batch.commit();
        } finally {
            threads.shutdown();
        }
    }

    @Test
    void aHeapTreeMaskLastsUntilTheStepEnds() {
        try (Scene scene = new Scene(); Sequence sequence = Sequence.attach(scene.cache, null);
                Batch batch = Batch.create(scene.cache, new PlanOptions().tree(true))) {
            batch.begin(new BatchInput().add(sequence, 3)
                    .treeMask(Tensor.of(new byte[] {1, 2, 4}), 1));
            System.gc();
            ByteBuffer.allocateDirect(1 << 16).put(new byte[1 << 16]);
            batch.attend(0, scene.args());
            for (int i = 0; i < 3 * Scene.ROW; ++i) { // each sees itself only
                assertEquals(scene.v.get(i), scene.out.get(i), 1e-6f);
            }
            batch.commit(new long[] {2}, new long[] {0, 2}, 0);
            assertEquals(2, sequence.length());
            assertCode(ErrorCode.ARGUMENT, () -> batch.begin(new BatchInput().add(sequence, 3)
                    .treeMask(Tensor.of(new byte[] {1, 2}), 1)));
        }
    }

    @Test
    void memoryOfTheCallersIsCheckedAndUsed() {
        try (Scene scene = new Scene()) {
            CacheOptions options = new CacheOptions(64).pageSize(16);
            int bytes = (int) Cache.memory(scene.context, scene.model, options);
            assertCode(ErrorCode.ARGUMENT, () -> Cache.create(scene.context, scene.model,
                    options.memory(Tensor.of(ByteBuffer.allocateDirect(bytes - 1)))));
            assertCode(ErrorCode.ARGUMENT, () -> Cache.create(scene.context, scene.model,
                    options.memory(Tensor.of(new byte[bytes]))));
            assertCode(ErrorCode.ARGUMENT, () -> Cache.create(scene.context, scene.model,
                    options.memory(Tensor.ofAddress(4096))));
            ByteBuffer memory = ByteBuffer.allocateDirect(bytes);
            try (Cache cache = Cache.create(scene.context, scene.model,
                    options.memory(Tensor.of(memory)))) {
                long start = Tensor.of(memory).address;
                long pages = cache.layout(0).kPages();
                assertTrue(pages >= start && pages < start + bytes);
                assertEquals(4, cache.totalPages(0));
            }
        }
    }

    @Test
    void requireSupportNamesTheReason() {
        try (Scene scene = new Scene()) {
            scene.context.requireSupport(scene.model, 0, new PlanOptions());
            PlanOptions graph = new PlanOptions().graph(true);
            RelayAttentionException e = assertCode(ErrorCode.UNSUPPORTED,
                    () -> scene.context.requireSupport(scene.model, 0, graph));
            assertTrue(e.getMessage().contains("GRAPH"), e.getMessage());
        }
    }

    @Test
    void aQueueOnTheCpuIsRefused() {
        try (Scene scene = new Scene(); Prefix prefix = Prefix.create(scene.cache, null, 1)) {
            assertCode(ErrorCode.ARGUMENT, () -> scene.batch.begin(new BatchInput(), 1));
            assertCode(ErrorCode.ARGUMENT, () -> prefix.seal(1));
            assertCode(ErrorCode.ARGUMENT, () -> scene.context.merge(new MergeArgs(0, 1, 1), 1));
        }
    }

    @Test
    void mergeNeedsEqualStridesOfLogSumExps() {
        try (Scene scene = new Scene()) {
            Tensor values = Tensor.of(scene.q);
            Tensor lse = Tensor.of(scene.k);
            MergeArgs args = new MergeArgs(2, 2, 8).a(values, lse).out(Tensor.of(scene.out), null);
            scene.context.merge(args.b(values, lse));
            assertEquals(scene.q.get(3), scene.out.get(3), 1e-6f);
            assertCode(ErrorCode.ARGUMENT,
                    () -> scene.context.merge(args.b(values, lse.strides(16, 4))));
        }
    }

    private static float[] values(Scene scene) {
        float[] values = new float[scene.out.capacity()];
        scene.out.get(0, values);
        for (int i = 0; i < values.length; ++i) {
            scene.out.put(i, -1);
        }
        return values;
    }
}
