import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Locale;
import relayattn.*;

/**
 * What a call costs over C: tests/bench/overhead.sh runs the same scene in each language. Prints
 * one line of JSON: the time of an attend of a step without new tokens, the bytes it allocates, and
 * the time of a large one.
 */
public final class Overhead {
    private static final int REQUESTS = 8;
    private static final int Q_HEADS = 32;
    private static final int KV_HEADS = 8;
    private static final int DIM = 128;
    private static final int PROMPT = 2048;
    private static final int WARM_UP = 200_000;
    private static final int SAMPLES = 21;
    private static final int CALLS = 50_000;

    private Overhead() {
    }

    public static void main(String[] arguments) {
        ContextOptions cpu = new ContextOptions().backend(Backend.CPU).numThreads(1);
        try (Context context = Context.create(cpu); Model model = Model.create(1)) {
            model.setLayers(0, 1, new LayerOptions(Q_HEADS, KV_HEADS, DIM).dtype(Dtype.F32));
            try (Cache cache = Cache.create(context, model, new CacheOptions(8192));
                    Batch batch = Batch.create(cache, new PlanOptions());
                    Prefix prompt = Prefix.create(cache, null, PROMPT)) {
                Tensor kv = tensor(PROMPT * KV_HEADS * DIM);
                prompt.write(0, 0, PROMPT, kv, kv);
                prompt.seal();
                measure(batch, cache, prompt);
            }
        }
    }

    private static void measure(Batch batch, Cache cache, Prefix prompt) {
        Sequence[] sequences = new Sequence[REQUESTS];
        Arrays.setAll(sequences, i -> Sequence.attach(cache, prompt));
        AttendArgs args = new AttendArgs().q(tensor(REQUESTS * Q_HEADS * DIM))
                .k(tensor(REQUESTS * KV_HEADS * DIM)).v(tensor(REQUESTS * KV_HEADS * DIM))
                .out(tensor(REQUESTS * Q_HEADS * DIM));
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long self = Thread.currentThread().getId();

        batch.begin(input(sequences, 0));
        attend(batch, args, WARM_UP);
        double[] empty = new double[SAMPLES];
        long before = threads.getThreadAllocatedBytes(self);
        for (int i = 0; i < SAMPLES; ++i) {
            empty[i] = attend(batch, args, CALLS) / (double) CALLS;
        }
        long bytes = threads.getThreadAllocatedBytes(self) - before;
        batch.abort();

        batch.begin(input(sequences, 1));
        attend(batch, args, 5);
        double[] large = new double[31];
        for (int i = 0; i < large.length; ++i) {
            large[i] = attend(batch, args, 1) / 1e3;
        }
        batch.abort();
        System.out.printf(Locale.ROOT, "{\"language\": \"java\", \"empty_ns_per_call\": %.1f, "
                + "\"bytes_per_call\": %s, \"large_us\": %.1f}%n", median(empty),
                bytes / (double) (SAMPLES * CALLS), median(large));
        for (Sequence sequence : sequences) {
            sequence.close();
        }
    }

    private static long attend(Batch batch, AttendArgs args, int calls) {
        long start = System.nanoTime();
        for (int i = 0; i < calls; ++i) {
            batch.attend(0, args);
        }
        return System.nanoTime() - start;
    }

    private static BatchInput input(Sequence[] sequences, long qLen) {
        BatchInput input = new BatchInput();
        for (Sequence sequence : sequences) {
            input.add(sequence, qLen);
        }
        return input;
    }

    private static Tensor tensor(int size) {
        FloatBuffer buffer = ByteBuffer.allocateDirect(size * Float.BYTES)
                .order(ByteOrder.nativeOrder()).asFloatBuffer();
        for (int i = 0; i < size; ++i) {
            buffer.put(i, ((i * 37L + 11) % 101 - 50) / 64f);
        }
        return Tensor.of(buffer);
    }

    private static double median(double[] values) {
        Arrays.sort(values);
        return values[values.length / 2];
    }
}
