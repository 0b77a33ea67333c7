import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.*;
import relayattn.*;

/**
 * The smallest server loop: requests that share a prompt join and leave while others go on, and
 * every row of every step is checked against plain attention in double precision.
 *
 *     java -cp relayattn-0.1.0.jar examples/java/HelloServer.java
 */
public final class HelloServer {
    static final int PROMPT = 100, MOST = 8; // tokens; requests at once
    static final int Q_HEADS = 4, KV_HEADS = 2, DIM = 32;
    static final int Q_ROW = Q_HEADS * DIM, KV_ROW = KV_HEADS * DIM;
    static final Random RANDOM = new Random(1);

    /** A request: its tokens in the cache, and a copy of all their K and V to check against. */
    record Request(Sequence sequence, int leavesAt, List<float[]> k, List<float[]> v) {
    }

    public static void main(String[] arguments) {
        try (Context context = Context.create(new ContextOptions().backend(Backend.CPU));
                Model model = Model.create(1)) {
            model.setLayers(0, 1, new LayerOptions(Q_HEADS, KV_HEADS, DIM).dtype(Dtype.F32));
            try (Cache cache = Cache.create(context, model, new CacheOptions(4096));
                    Batch batch = Batch.create(cache, new PlanOptions());
                    Prefix prompt = Prefix.create(cache, null, PROMPT)) {
                FloatBuffer k = random(PROMPT * KV_ROW), v = random(PROMPT * KV_ROW);
                prompt.write(0, 0, PROMPT, Tensor.of(k), Tensor.of(v)); // with more layers: each
                prompt.seal();
                serve(cache, batch, prompt, rows(k, KV_ROW), rows(v, KV_ROW));
            }
        }
    }

    static void serve(Cache cache, Batch batch, Prefix prompt, List<float[]> promptK,
            List<float[]> promptV) {
        FloatBuffer q = random(MOST * Q_ROW), out = random(MOST * Q_ROW);
        FloatBuffer k = random(MOST * KV_ROW), v = random(MOST * KV_ROW);
        AttendArgs args = new AttendArgs().q(Tensor.of(q)).k(Tensor.of(k)).v(Tensor.of(v))
                .out(Tensor.of(out));
        BatchInput input = new BatchInput();
        List<Request> running = new ArrayList<>();
        int total = 0;
        double worst = 0;
        for (int step = 0; step < 40; ++step) {
            for (int i = running.size() - 1; i >= 0; --i) {
                if (running.get(i).leavesAt == step) {
                    running.remove(i).sequence.close(); // its pages are free again
                }
            }
            if (running.size() < MOST && step % 2 == 0) {
                Sequence sequence = Sequence.attach(cache, prompt);
                running.add(new Request(sequence, step + 3 + RANDOM.nextInt(20),
                        new ArrayList<>(promptK), new ArrayList<>(promptV)));
            }
            List.of(q, k, v).forEach(HelloServer::fill); // here a model would compute
            input.clear();
            running.forEach(request -> input.add(request.sequence, 1));
            batch.begin(input);
            batch.attend(0, args); // with more layers: each in turn
            batch.commit();
            for (int i = 0; i < running.size(); ++i) {
                Request request = running.get(i);
                request.k.add(rows(k, KV_ROW).get(i));
                request.v.add(rows(v, KV_ROW).get(i));
                float[] got = rows(out, Q_ROW).get(i);
                worst = Math.max(worst, error(rows(q, Q_ROW).get(i), got, request));
            }
            total += running.size();
        }
        running.forEach(request -> request.sequence.close());
        System.out.printf("%d rows under one prompt, largest error %.1e%n", total, worst);
        if (!(worst < 1e-5)) {
            throw new AssertionError("the results are wrong");
        }
    }

    /** The largest difference of a row from plain attention over the request's K and V. */
    static double error(float[] q, float[] out, Request request) {
        double worst = 0;
        for (int h = 0; h < Q_HEADS; ++h) {
            int kv = h / (Q_HEADS / KV_HEADS) * DIM;
            double sum = 0;
            double[] mean = new double[DIM];
            for (int t = 0; t < request.k.size(); ++t) {
                double score = 0;
                for (int d = 0; d < DIM; ++d) {
                    score += (double) q[h * DIM + d] * request.k.get(t)[kv + d];
                }
                double weight = Math.exp(score / Math.sqrt(DIM));
                sum += weight;
                for (int d = 0; d < DIM; ++d) {
                    mean[d] += weight * request.v.get(t)[kv + d];
                }
            }
            for (int d = 0; d < DIM; ++d) {
                worst = Math.max(worst, Math.abs(mean[d] / sum - out[h * DIM + d]));
            }
        }
        return worst;
    }

    static FloatBuffer random(int size) {
        ByteBuffer memory = ByteBuffer.allocateDirect(size * Float.BYTES);
        return fill(memory.order(ByteOrder.nativeOrder()).asFloatBuffer());
    }

    static FloatBuffer fill(FloatBuffer tensor) {
        for (int i = 0; i < tensor.capacity(); ++i) {
            tensor.put(i, (float) RANDOM.nextGaussian());
        }
        return tensor;
    }

    static List<float[]> rows(FloatBuffer tensor, int size) {
        List<float[]> rows = new ArrayList<>();
        for (int i = 0; i < tensor.capacity(); i += size) {
            rows.add(new float[size]);
            tensor.get(i, rows.get(i / size));
        }
        return rows;
    }
}
