package relayattn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;

/** Carries out the operations of the shared scenario through the public classes. */
final class Replay {
    private static final int OK = 0;

    private final Map<String, NativeObject> objects = new HashMap<>();
    private final boolean heap;
    int done;
    int compared;
    int skipped;

    /** With `heap`, tensors are heap arrays where there is a kind for them. */
    Replay(boolean heap) {
        this.heap = heap;
    }

    /** One operation: what it answers is compared, and so is its status. */
    void run(JsonObject op) {
        int status = op.get("status").getAsInt();
        if (cannotBeWritten(op)) {
            assertTrue(status != OK);
            ++skipped;
            return;
        }
        RelayAttentionException thrown = null;
        try {
            call(op);
        } catch (RelayAttentionException e) {
            thrown = e;
        }
        ErrorCode want = status == OK ? null : ErrorCode.of(status);
        assertEquals(want, thrown == null ? null : thrown.code(),
                op.get("op").getAsString() + (thrown == null ? "" : ": " + thrown.getMessage()));
        ++done;
    }

    /** Numbers without an enum constant, and two counts that do not agree. */
    private static boolean cannotBeWritten(JsonObject op) {
        String misuse = op.get("misuse").getAsString();
        return misuse.equals("number") || misuse.equals("null")
                || op.has("q_lens") && op.getAsJsonArray("q_lens").size()
                        != op.getAsJsonArray("sequences").size();
    }

    private void call(JsonObject op) {
        String name = op.get("op").getAsString();
        switch (name.substring(0, Math.max(name.indexOf('_'), 0))) {
            case "context", "model", "merge" -> setUp(name, op);
            case "cache" -> cache(name, op);
            case "prefix" -> prefix(name, op);
            case "sequence" -> sequence(name, op);
            case "batch" -> batch(name, op);
            default -> object(op, "object", NativeObject.class).close();
        }
    }

    private void setUp(String name, JsonObject op) {
        switch (name) {
            case "context_create" -> made(op, Context.create(new ContextOptions()
                    .backend(Backend.values()[(int) number(op, "backend")])
                    .ordinal((int) number(op, "ordinal"))
                    .numThreads(number(op, "num_threads"))));
            case "context_supports" -> object(op, "context", Context.class).requireSupport(
                    object(op, "model", Model.class), number(op, "page_size"),
                    plan((int) number(op, "plan_flags")));
            case "model_create" -> made(op, Model.create(number(op, "num_layers")));
            case "model_set_layers" -> object(op, "model", Model.class)
                    .setLayers(number(op, "first"), number(op, "count"), layer(op));
            case "model_layer_group" -> answers(op, "group",
                    object(op, "model", Model.class).layerGroup(number(op, "layer")));
            case "merge_state" -> merge(op);
            default -> throw new AssertionError(name);
        }
    }

    private static LayerOptions layer(JsonObject op) {
        LayerOptions o = new LayerOptions(number(op, "num_q_heads"), number(op, "num_kv_heads"),
                number(op, "head_dim_k"), number(op, "head_dim_v"));
        o.dtypes(dtype(op, "q_dtype"), dtype(op, "k_dtype"), dtype(op, "v_dtype"),
                dtype(op, "out_dtype"));
        switch ((int) number(op, "window_kind")) {
            case 0 -> assertEquals(0, number(op, "window"));
            case 1 -> o.slidingWindow(number(op, "window"));
            default -> o.chunkedWindow(number(op, "window"));
        }
        return o.retain(number(op, "retain")).kvLayer(number(op, "kv_layer"))
                .usesSinks(number(op, "uses_sinks") != 0).usesAlibi(number(op, "uses_alibi") != 0)
                .softmaxScale(op.get("softmax_scale").getAsFloat())
                .logitSoftcap(op.get("logit_softcap").getAsFloat());
    }

    private static PlanOptions plan(int flags) {
        return new PlanOptions().graph((flags & 1) != 0).batchInvariant((flags & 2) != 0)
                .tree((flags & 4) != 0);
    }

    private void merge(JsonObject op) {
        int rows = (int) (number(op, "num_tokens") * number(op, "num_heads"));
        int size = rows * (int) number(op, "head_dim");
        Result out = new Result(size, Dtype.F32);
        Result lse = new Result(rows, Dtype.F32);
        MergeArgs args = new MergeArgs(number(op, "num_tokens"), number(op, "num_heads"),
                number(op, "head_dim"))
                .a(seeded(op, "a", size, Dtype.F32), floats(op, "a_lse"))
                .b(seeded(op, "b", size, Dtype.F32), floats(op, "b_lse"))
                .out(out.tensor(), lse.tensor())
                .base2(number(op, "lse_base2") != 0);
        object(op, "context", Context.class).merge(args);
        out.compare(op, "out_values");
        lse.compare(op, "lse_values");
    }

    private void cache(String name, JsonObject op) {
        switch (name) {
            case "cache_create" -> made(op, Cache.create(object(op, "context", Context.class),
                    object(op, "model", Model.class),
                    new CacheOptions(number(op, "capacity_tokens"))
                            .pageSize(number(op, "page_size"))
                            .maxSequences(number(op, "max_sequences"))));
            case "cache_pages" -> {
                Cache cache = object(op, "cache", Cache.class);
                answers(op, "total", cache.totalPages(number(op, "group")));
                answers(op, "free", cache.freePages(number(op, "group")));
            }
            default -> throw new AssertionError(name);
        }
    }

    private void prefix(String name, JsonObject op) {
        switch (name) {
            case "prefix_create" -> made(op, Prefix.create(object(op, "cache", Cache.class),
                    object(op, "parent", Prefix.class), number(op, "num_tokens")));
            case "prefix_write" -> object(op, "prefix", Prefix.class).write(number(op, "layer"),
                    number(op, "pos"), number(op, "num_tokens"),
                    seeded(op, "k", (int) number(op, "k_size"), dtype(op, "dtype")),
                    seeded(op, "v", (int) number(op, "v_size"), dtype(op, "dtype")));
            case "prefix_read" -> read(op);
            case "prefix_seal" -> object(op, "prefix", Prefix.class).seal();
            case "prefix_from_sequence" -> made(op, Prefix.fromSequence(
                    object(op, "sequence", Sequence.class), number(op, "num_tokens")));
            case "prefix_split" -> made(op,
                    object(op, "prefix", Prefix.class).split(number(op, "num_tokens")));
            case "prefix_length" -> {
                Prefix prefix = object(op, "prefix", Prefix.class);
                answers(op, "own", prefix.length());
                answers(op, "total", prefix.totalLength());
            }
            default -> throw new AssertionError(name);
        }
    }

    private void read(JsonObject op) {
        Dtype dtype = dtype(op, "dtype");
        Result k = new Result((int) number(op, "k_size"), dtype);
        Result v = new Result((int) number(op, "v_size"), dtype);
        object(op, "prefix", Prefix.class).read(number(op, "layer"), number(op, "pos"),
                number(op, "num_tokens"), k.tensor(), v.tensor());
        assertEquals(Numbers.make(number(op, "k"), (int) number(op, "k_size"), dtype), k.bytes());
        assertEquals(Numbers.make(number(op, "v"), (int) number(op, "v_size"), dtype), v.bytes());
    }

    private void sequence(String name, JsonObject op) {
        if (name.equals("sequence_attach")) {
            made(op, Sequence.attach(object(op, "cache", Cache.class),
                    object(op, "prefix", Prefix.class)));
            return;
        }
        Sequence sequence = object(op, "sequence", Sequence.class);
        switch (name) {
            case "sequence_fork" -> made(op, sequence.fork());
            case "sequence_truncate" -> sequence.truncate(number(op, "length"));
            case "sequence_length" -> {
                answers(op, "length", sequence.length());
                if (number(op, "min") != -1) {
                    answers(op, "min", sequence.minLength());
                }
            }
            case "sequence_pages" ->
                    answers(op, "num", sequence.pages(number(op, "group")).length);
            default -> throw new AssertionError(name);
        }
    }

    private void batch(String name, JsonObject op) {
        if (name.equals("batch_create")) {
            made(op, Batch.create(object(op, "cache", Cache.class),
                    plan((int) number(op, "flags")).maxRows(number(op, "max_rows"))
                            .maxTokens(number(op, "max_tokens"))
                            .mode(PlanMode.values()[(int) number(op, "mode")])));
            return;
        }
        Batch batch = object(op, "batch", Batch.class);
        switch (name) {
            case "batch_pages_needed" ->
                    answers(op, "pages", batch.pagesNeeded(input(op), number(op, "group")));
            case "batch_begin" -> batch.begin(input(op));
            case "batch_begin_dummy" -> batch.beginDummy(number(op, "rows"), number(op, "q_len"),
                    number(op, "kv_len"), 0);
            case "batch_attend" -> attend(batch, op);
            case "batch_commit" -> batch.commit(longs(op, "kept"), longs(op, "index"), 0);
            case "batch_abort" -> batch.abort();
            case "batch_query" -> answers(op, "value", batch.query(number(op, "group"),
                    PlanInfo.values()[(int) number(op, "property") - 1]));
            default -> throw new AssertionError(name);
        }
    }

    private BatchInput input(JsonObject op) {
        BatchInput input = new BatchInput();
        JsonArray names = op.getAsJsonArray("sequences");
        JsonArray flags = op.getAsJsonArray("row_flags");
        for (int i = 0; i < names.size(); ++i) {
            input.add((Sequence) objects.get(names.get(i).getAsString()),
                    op.getAsJsonArray("q_lens").get(i).getAsLong(),
                    flags.isEmpty() ? 0 : flags.get(i).getAsInt());
        }
        long[] spans = longs(op, "spans");
        for (int i = 0; spans != null && i < spans.length; i += 3) {
            input.span(spans[i], spans[i + 1], spans[i + 2]);
        }
        return input.treeMask(bytes(op, "tree_mask"), number(op, "tree_stride"))
                .paddedTokens(number(op, "padded_tokens"));
    }

    private void attend(Batch batch, JsonObject op) {
        Dtype kvDtype = dtype(op, "kv_dtype");
        Result out = new Result((int) number(op, "out_size"), dtype(op, "out_dtype"));
        Result lse = new Result((int) number(op, "lse_size"), Dtype.F32);
        batch.attend(number(op, "layer"), new AttendArgs()
                .q(seeded(op, "q", (int) number(op, "q_size"), dtype(op, "q_dtype")))
                .k(seeded(op, "k", (int) number(op, "k_size"), kvDtype))
                .v(seeded(op, "v", (int) number(op, "v_size"), kvDtype))
                .out(number(op, "q") == 0 ? null : out.tensor())
                .lse(number(op, "lse_size") == 0 ? null : lse.tensor())
                .sinkLogits(floats(op, "sinks")).alibiSlopes(floats(op, "slopes"))
                .softmaxScale(op.get("softmax_scale").getAsFloat())
                .logitSoftcap(op.get("logit_softcap").getAsFloat()));
        out.compare(op, "out_values");
        lse.compare(op, "lse_values");
    }

    private void made(JsonObject op, NativeObject object) {
        objects.put(op.get("out").getAsString(), object);
    }

    /** Null for the name "", as the scenario writes a null handle. */
    private <T extends NativeObject> T object(JsonObject op, String field, Class<T> type) {
        return type.cast(objects.get(op.get(field).getAsString()));
    }

    private static void answers(JsonObject op, String field, long got) {
        assertEquals(number(op, field), got, field);
    }

    private static long number(JsonObject op, String field) {
        return op.get(field).getAsLong();
    }

    private static Dtype dtype(JsonObject op, String field) {
        return Dtype.values()[(int) number(op, field) - 1];
    }

    /** An empty array stands for null. */
    private static long[] longs(JsonObject op, String field) {
        JsonArray array = op.getAsJsonArray(field);
        long[] values = new long[array.size()];
        for (int i = 0; i < values.length; ++i) {
            values[i] = array.get(i).getAsLong();
        }
        return values.length == 0 ? null : values;
    }

    private Tensor bytes(JsonObject op, String field) {
        JsonArray array = op.getAsJsonArray(field);
        ByteBuffer values = ByteBuffer.allocateDirect(array.size());
        for (JsonElement element : array) {
            values.put((byte) element.getAsInt());
        }
        return array.isEmpty() ? null : memory(values.flip(), Dtype.I8);
    }

    private Tensor floats(JsonObject op, String field) {
        JsonArray array = op.getAsJsonArray(field);
        ByteBuffer values = Numbers.room(array.size(), Dtype.F32);
        for (JsonElement element : array) {
            values.putFloat(element.getAsFloat());
        }
        return array.isEmpty() ? null : memory(values.flip(), Dtype.F32);
    }

    /** A seed of 0 stands for null. */
    private Tensor seeded(JsonObject op, String field, int size, Dtype dtype) {
        long seed = number(op, field);
        return seed == 0 ? null : memory(Numbers.make(seed, size, dtype), dtype);
    }

    private Tensor memory(ByteBuffer direct, Dtype dtype) {
        return heap ? heapTensor(heapArray(direct, dtype)) : Tensor.of(direct);
    }

    private static Object heapArray(ByteBuffer direct, Dtype dtype) {
        switch (dtype) {
            case F32 -> {
                float[] array = new float[direct.remaining() / Float.BYTES];
                direct.asFloatBuffer().get(array);
                return array;
            }
            case F16, BF16 -> {
                short[] array = new short[direct.remaining() / Short.BYTES];
                direct.asShortBuffer().get(array);
                return array;
            }
            default -> {
                byte[] array = new byte[direct.remaining()];
                direct.get(array);
                return array;
            }
        }
    }

    private static Tensor heapTensor(Object array) {
        if (array instanceof float[] floats) {
            return Tensor.of(floats);
        }
        return array instanceof short[] shorts ? Tensor.of(shorts) : Tensor.of((byte[]) array);
    }

    /** A buffer that a call writes, as a direct buffer or a heap array. */
    private final class Result {
        private final Dtype dtype;
        private final ByteBuffer direct;
        private final Object array;

        Result(int size, Dtype dtype) {
            this.dtype = dtype;
            direct = Numbers.room(size, dtype);
            array = heap ? heapArray(direct, dtype) : null;
        }

        Tensor tensor() {
            return heap ? heapTensor(array) : Tensor.of(direct);
        }

        ByteBuffer bytes() {
            if (array instanceof float[] floats) {
                direct.asFloatBuffer().put(floats);
            } else if (array instanceof short[] shorts) {
                direct.asShortBuffer().put(shorts);
            }
            return direct;
        }

        void compare(JsonObject op, String field) {
            JsonArray want = op.getAsJsonArray(field);
            ByteBuffer got = bytes();
            assertTrue(want.isEmpty() || want.size() * dtype.size == got.capacity(), field);
            compared += want.size();
            double tolerance = Numbers.tolerance(dtype);
            for (int i = 0; i < want.size(); ++i) {
                double value = Numbers.read(got, i, dtype);
                double wanted = want.get(i).getAsDouble();
                assertTrue(Numbers.close(value, wanted, tolerance),
                        field + "[" + i + "] is " + value + ", not " + wanted);
            }
        }
    }
}
