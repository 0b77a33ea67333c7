package relayattn;

/**
 * The tensors of one layer of a step, for {@link Batch#attend(long, AttendArgs)}; to be used again
 * and changed between calls. Below, T is the number of the step's new tokens, P its
 * {@linkplain BatchInput#paddedTokens padded tokens}; heads, dims and dtypes are the layer's. What
 * is null is not given. Tensors that are written must not overlap others.
 */
public final class AttendArgs {
    Tensor q;
    Tensor out;
    Tensor k;
    Tensor v;
    Tensor lse;
    Tensor sinkLogits;
    Tensor alibiSlopes;
    float softmaxScale;
    float logitSoftcap;

    /** No tensor yet. */
    public AttendArgs() {
    }

    /**
     * The queries.
     *
     * @param value [T + P, query heads, head dim of K] of the q dtype; the last P rows are not
     *     used. Null together with {@code out}: the call only appends k and v
     * @return this
     */
    public AttendArgs q(Tensor value) {
        q = value;
        return this;
    }

    /**
     * Where the result goes.
     *
     * @param value [T + P, query heads, head dim of V] of the out dtype; the last P rows become 0
     * @return this
     */
    public AttendArgs out(Tensor value) {
        out = value;
        return this;
    }

    /**
     * K of the new tokens. Must be given, together with {@link #v}, unless the layer has a
     * {@linkplain LayerOptions#kvLayer KV layer} or T is 0; not then, and not for
     * {@link Batch#attendWorker}. Rows of {@link BatchInput#NEW_ABSENT} sequences are there, and
     * not read.
     *
     * @param value [T, KV heads, head dim of K] of the K dtype
     * @return this
     */
    public AttendArgs k(Tensor value) {
        k = value;
        return this;
    }

    /**
     * V of the new tokens; given if and only if {@link #k} is.
     *
     * @param value [T, KV heads, head dim of V] of the V dtype
     * @return this
     */
    public AttendArgs v(Tensor value) {
        v = value;
        return this;
    }

    /**
     * Where the log-sum-exps go: natural logarithms; -infinity for a query that sees no key and for
     * padded rows.
     *
     * @param value [T + P, query heads] of {@link Dtype#F32}, with strides in bytes as everywhere;
     *     null: not wanted
     * @return this
     */
    public AttendArgs lse(Tensor value) {
        lse = value;
        return this;
    }

    /**
     * Logits of the heads' attention sinks; given if and only if the layer
     * {@linkplain LayerOptions#usesSinks uses sinks}.
     *
     * @param value [query heads] of {@link Dtype#F32}, dense
     * @return this
     */
    public AttendArgs sinkLogits(Tensor value) {
        sinkLogits = value;
        return this;
    }

    /**
     * Slopes of the heads' ALiBi; given if and only if the layer
     * {@linkplain LayerOptions#usesAlibi uses ALiBi}.
     *
     * @param value [query heads] of {@link Dtype#F32}, dense
     * @return this
     */
    public AttendArgs alibiSlopes(Tensor value) {
        alibiSlopes = value;
        return this;
    }

    /**
     * Factor of q . k in this call.
     *
     * @param value 0, the default: the layer's; finite
     * @return this
     */
    public AttendArgs softmaxScale(float value) {
        softmaxScale = value;
        return this;
    }

    /**
     * Cap of the scores in this call.
     *
     * @param value 0, the default: the layer's; finite, not negative
     * @return this
     */
    public AttendArgs logitSoftcap(float value) {
        logitSoftcap = value;
        return this;
    }
}
