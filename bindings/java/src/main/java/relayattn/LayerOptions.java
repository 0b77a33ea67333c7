package relayattn;

import java.util.Objects;

/**
 * What one layer looks like, for {@link Model#setLayers(long, long, LayerOptions)}. Layers of equal
 * KV geometry, dtype and window form a layer group: they have equal page counts and share each
 * step's plan, so it is best to give equal layers equal options.
 */
public final class LayerOptions {
    final long numQHeads;
    final long numKvHeads;
    final long headDimK;
    final long headDimV;
    Dtype qDtype = Dtype.BF16;
    Dtype kDtype = Dtype.BF16;
    Dtype vDtype = Dtype.BF16;
    Dtype outDtype = Dtype.BF16;
    int windowKind = NativeConstants.RA_WINDOW_NONE;
    long window;
    long retain;
    long kvLayer = -1;
    boolean usesSinks;
    boolean usesAlibi;
    float softmaxScale;
    float logitSoftcap;

    /**
     * A layer of bf16 that attends to everything.
     *
     * @param numQHeads query heads, 1 .. 65536, a multiple of {@code numKvHeads}
     * @param numKvHeads KV heads, 1 .. 65536; query head h reads KV head h / (numQHeads /
     *     numKvHeads)
     * @param headDim elements of a head of q, K, V and out: a multiple of 8 from 32 to 256
     */
    public LayerOptions(long numQHeads, long numKvHeads, long headDim) {
        this(numQHeads, numKvHeads, headDim, headDim);
    }

    /**
     * A layer of bf16 that attends to everything, with heads of V that differ from those of K.
     *
     * @param numQHeads query heads, 1 .. 65536, a multiple of {@code numKvHeads}
     * @param numKvHeads KV heads, 1 .. 65536
     * @param headDimK elements of a head of q and K: a multiple of 8 from 32 to 256
     * @param headDimV elements of a head of V and out: likewise
     */
    public LayerOptions(long numQHeads, long numKvHeads, long headDimK, long headDimV) {
        this.numQHeads = numQHeads;
        this.numKvHeads = numKvHeads;
        this.headDimK = headDimK;
        this.headDimV = headDimV;
    }

    /**
     * One element type for q, K, V and out; {@link Dtype#BF16} by default.
     *
     * @param value the type
     * @return this
     */
    public LayerOptions dtype(Dtype value) {
        return dtypes(value, value, value, value);
    }

    /**
     * An element type for each tensor; all are {@link Dtype#BF16} by default.
     *
     * @param q of q as given
     * @param k of K in the pages and as given
     * @param v of V; must equal {@code k}
     * @param out of out as written
     * @return this
     */
    public LayerOptions dtypes(Dtype q, Dtype k, Dtype v, Dtype out) {
        qDtype = Objects.requireNonNull(q, "q");
        kDtype = Objects.requireNonNull(k, "k");
        vDtype = Objects.requireNonNull(v, "v");
        outDtype = Objects.requireNonNull(out, "out");
        return this;
    }

    /**
     * A query sees at most the last {@code tokens} keys, its own included.
     *
     * @param tokens the window, 1 .. 2<sup>31</sup> - 1
     * @return this
     */
    public LayerOptions slidingWindow(long tokens) {
        return window(NativeConstants.RA_WINDOW_SLIDING, tokens);
    }

    /**
     * A query sees keys of its own chunk of {@code tokens} positions only.
     *
     * @param tokens the chunk, 1 .. 2<sup>31</sup> - 1
     * @return this
     */
    public LayerOptions chunkedWindow(long tokens) {
        return window(NativeConstants.RA_WINDOW_CHUNKED, tokens);
    }

    /**
     * How many tokens before a sequence's end, or a prefix's, a window layer keeps; older whole
     * pages are given back. More lets {@link Sequence#truncate(long)} and the cuts of prefixes go
     * back further.
     *
     * @param tokens 0, the default: as many as the window; -1: all; else at least the window. 0 for
     *     a layer without a window
     * @return this
     */
    public LayerOptions retain(long tokens) {
        retain = tokens;
        return this;
    }

    /**
     * The lower layer whose K and V this one attends over. That one must be set, have its own K and
     * V, and agree in KV heads, head dims and KV dtype; if it has a window, this one's must keep no
     * more tokens than it does.
     *
     * @param layer its number; -1, the default: K and V of the layer's own
     * @return this
     */
    public LayerOptions kvLayer(long layer) {
        kvLayer = layer;
        return this;
    }

    /**
     * Whether every attend has {@linkplain AttendArgs#sinkLogits sink logits}, or none has, which
     * is the default.
     *
     * @param value true: every attend
     * @return this
     */
    public LayerOptions usesSinks(boolean value) {
        usesSinks = value;
        return this;
    }

    /**
     * Whether every attend has {@linkplain AttendArgs#alibiSlopes ALiBi slopes}, or none has, which
     * is the default.
     *
     * @param value true: every attend
     * @return this
     */
    public LayerOptions usesAlibi(boolean value) {
        usesAlibi = value;
        return this;
    }

    /**
     * Factor of q . k.
     *
     * @param value 0, the default: 1 / sqrt(head dim of K); finite
     * @return this
     */
    public LayerOptions softmaxScale(float value) {
        softmaxScale = value;
        return this;
    }

    /**
     * Cap of the scores, before ALiBi: cap * tanh(score / cap).
     *
     * @param value 0, the default: none; finite, not negative
     * @return this
     */
    public LayerOptions logitSoftcap(float value) {
        logitSoftcap = value;
        return this;
    }

    private LayerOptions window(int kind, long tokens) {
        windowKind = kind;
        window = tokens;
        return this;
    }
}
