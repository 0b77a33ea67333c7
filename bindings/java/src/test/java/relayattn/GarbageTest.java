package relayattn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What nobody closes the garbage collector closes, at any time; and steps make no garbage. */
@Timeout(180)
final class GarbageTest {
    private static final long SECONDS = System.getenv("RELAYATTN_TEST_QUICK") == null ? 60 : 5;

    @Test
    void nothingIsClosedUnderLoad() throws Exception {
        Scene scene = new Scene(Scene.layer(), 1 << 14);
        float[] expected = new float[Scene.ROW];
        attendOnce(scene, scene.batch, scene.out);
        scene.out.get(0, expected);

        AtomicBoolean over = new AtomicBoolean();
        AtomicLong rounds = new AtomicLong();
        AtomicReference<Throwable> wrong = new AtomicReference<>();
        List<Thread> users = new ArrayList<>();
        for (int i = 0; i < 3; ++i) {
            users.add(new Thread(() -> litter(scene, expected, over, rounds, wrong)));
        }
        users.forEach(Thread::start);
        long end = System.nanoTime() + SECONDS * 1_000_000_000L;
        while (System.nanoTime() < end && wrong.get() == null) {
            System.gc();
            Thread.sleep(20);
        }
        over.set(true);
        for (Thread user : users) {
            user.join();
        }
        if (wrong.get() != null) {
            throw new AssertionError(wrong.get());
        }
        assertTrue(rounds.get() > 100, "only " + rounds.get() + " rounds");
        System.out.println(rounds + " rounds left to the collector");
        assertAllPagesComeBack(scene.cache);
        scene.close();
    }

    @Test
    void memoryThatWasGivenOutlivesTheCacheObject() throws Exception {
        Scene scene = new Scene();
        CacheOptions options = new CacheOptions(64).pageSize(16);
        int bytes = Math.toIntExact(Cache.memory(scene.context, scene.model, options));
        Cache cache = Cache.create(scene.context, scene.model,
                options.memory(Tensor.of(ByteBuffer.allocateDirect(bytes))));
        PlanOptions plan = new PlanOptions().maxRows(4).maxTokens(8).maxRuns(8).maxKvTokens(64);
        int scratch = Math.toIntExact(Batch.scratchBytes(cache, plan));
        int metadata = Math.toIntExact(Batch.metadataBytes(cache, plan));
        Batch batch = Batch.create(cache, plan
                .scratch(Tensor.of(ByteBuffer.allocateDirect(scratch)))
                .metadata(Tensor.of(ByteBuffer.allocateDirect(metadata))));
        Sequence sequence = Sequence.attach(cache, null);
        batch.begin(new BatchInput().add(sequence, Scene.MOST));
        batch.attend(0, scene.args());
        batch.commit();
        cache.close();
        cache = null;
        options = null;
        plan = null;
        float[] first = new float[Scene.ROW];
        float[] again = new float[Scene.ROW];
        for (int i = 0; i < 5; ++i) {
            batch.begin(new BatchInput().add(sequence, 1));
            batch.attend(0, scene.args());
            batch.abort();
            scene.out.get(0, i == 0 ? first : again);
            System.gc();
            Thread.sleep(10);
            ByteBuffer.allocateDirect(bytes).put(new byte[bytes]); // where freed memory would be
        }
        assertArrayEquals(first, again);
        sequence.close();
        batch.close();
        scene.close();
    }

    @Test
    void aSteadyStepAllocatesNothing() {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long self = Thread.currentThread().getId();
        try (Scene scene = new Scene(Scene.layer(), 1 << 17)) {
            List<Sequence> sequences = new ArrayList<>();
            try (Prefix prefix = scene.prefix()) {
                for (int i = 0; i < 4; ++i) {
                    sequences.add(Sequence.attach(scene.cache, prefix));
                }
            }
            AttendArgs args = scene.args().lse(Tensor.of(Scene.floats(2 * Scene.MOST)));
            BatchInput input = new BatchInput();
            steps(scene.batch, input, sequences, args, 3000);
            long before = threads.getThreadAllocatedBytes(self);
            steps(scene.batch, input, sequences, args, 1000);
            assertEquals(0, threads.getThreadAllocatedBytes(self) - before);
            sequences.forEach(Sequence::close);
        }
    }

    private static void steps(Batch batch, BatchInput input, List<Sequence> sequences,
            AttendArgs args, int count) {
        for (int step = 0; step < count; ++step) {
            input.clear();
            for (int i = 0; i < sequences.size(); ++i) {
                input.add(sequences.get(i), 1);
            }
            batch.begin(input);
            batch.attend(0, args);
            batch.commit();
            sequences.get(0).length();
        }
    }

    private static void litter(Scene scene, float[] expected, AtomicBoolean over, AtomicLong rounds,
            AtomicReference<Throwable> wrong) {
        FloatBuffer out = Scene.floats(Scene.MOST * Scene.ROW);
        float[] got = new float[Scene.ROW];
        while (!over.get() && wrong.get() == null) {
            try {
                Batch batch = Batch.create(scene.cache, new PlanOptions());
                for (int i = 0; i < 20; ++i) {
                    attendOnce(scene, batch, out);
                    out.get(0, got);
                    assertArrayEquals(expected, got);
                }
                rounds.incrementAndGet();
            } catch (RelayAttentionException e) {
                if (e.code() != ErrorCode.PAGES) { // the collector has not got round to it
                    wrong.compareAndSet(null, e);
                }
            } catch (Throwable e) {
                wrong.compareAndSet(null, e);
            }
        }
    }

    /** A step over a prefix, and more objects; all of them are left lying about. */
    private static void attendOnce(Scene scene, Batch batch, FloatBuffer out) {
        Prefix prefix = scene.prefix();
        Sequence sequence = Sequence.attach(scene.cache, prefix);
        batch.begin(new BatchInput().add(sequence, 1));
        batch.attend(0, scene.args().out(Tensor.of(out)));
        batch.commit();
        Sequence fork = sequence.fork();
        Prefix.fromSequence(fork, -1);
        prefix.split(1);
        try (Model model = Model.create(4)) {
            model.setLayers(0, 4, Scene.layer());
        }
        Model.create(3);
    }

    private static void assertAllPagesComeBack(Cache cache) throws InterruptedException {
        for (int i = 0; i < 500 && cache.freePages(0) != cache.totalPages(0); ++i) {
            System.gc();
            Thread.sleep(20);
        }
        assertEquals(cache.totalPages(0), cache.freePages(0));
    }
}
