package relayattn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.junit.jupiter.api.function.Executable;

/** A CPU context with a small cache, float32, and tensors for steps of up to 8 new tokens. */
final class Scene implements AutoCloseable {
    static final int HEADS = 2;
    static final int DIM = 32;
    static final int ROW = HEADS * DIM;
    static final int MOST = 8;

    final Context context = Context.create(new ContextOptions().backend(Backend.CPU).numThreads(1));
    final Model model = Model.create(1);
    final Cache cache;
    final Batch batch;
    final FloatBuffer q = floats(MOST * ROW);
    final FloatBuffer k = floats(MOST * ROW);
    final FloatBuffer v = floats(MOST * ROW);
    final FloatBuffer out = floats(MOST * ROW);

    Scene() {
        this(layer(), 4096);
    }

    Scene(LayerOptions layer, long capacityTokens) {
        model.setLayers(0, 1, layer);
        cache = Cache.create(context, model, new CacheOptions(capacityTokens).pageSize(16));
        batch = Batch.create(cache, new PlanOptions());
        for (int i = 0; i < MOST * ROW; ++i) {
            q.put(i, (i * 37 + 11) % 101 / 64f);
            k.put(i, (i * 53 + 7) % 97 / 64f);
            v.put(i, (i * 29 + 3) % 89 / 64f);
        }
    }

    static LayerOptions layer() {
        return new LayerOptions(HEADS, HEADS, DIM).dtype(Dtype.F32);
    }

    AttendArgs args() {
        return new AttendArgs().q(Tensor.of(q)).k(Tensor.of(k)).v(Tensor.of(v)).out(Tensor.of(out));
    }

    /** A sealed prefix of as many tokens as fit the tensors. */
    Prefix prefix() {
        Prefix prefix = Prefix.create(cache, null, MOST);
        prefix.write(0, 0, MOST, Tensor.of(k), Tensor.of(v));
        prefix.seal();
        return prefix;
    }

    /** One whole step that gives a sequence new tokens. */
    void step(Sequence sequence, long tokens) {
        batch.begin(new BatchInput().add(sequence, tokens));
        batch.attend(0, args());
        batch.commit();
    }

    @Override
    public void close() {
        batch.close();
        cache.close();
        model.close();
        context.close();
    }

    static FloatBuffer floats(int count) {
        return ByteBuffer.allocateDirect(count * Float.BYTES).order(ByteOrder.nativeOrder())
                .asFloatBuffer();
    }

    static RelayAttentionException assertCode(ErrorCode code, Executable call) {
        RelayAttentionException e = assertThrows(RelayAttentionException.class, call);
        assertEquals(code, e.code(), e.getMessage());
        return e;
    }
}
