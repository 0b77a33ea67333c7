package relayattn;

import java.util.Objects;

/**
 * Two parts of one attention, for {@link Context#merge(MergeArgs)}; may be used again and changed
 * between calls.
 */
public final class MergeArgs {
    final long numTokens;
    final long numHeads;
    final long headDim;
    Dtype inDtype = Dtype.F32;
    Dtype outDtype = Dtype.F32;
    boolean base2;
    Tensor a;
    Tensor b;
    Tensor out;
    Tensor aLse;
    Tensor bLse;
    Tensor outLse;

    /**
     * For parts of this shape, of {@link Dtype#F32} until {@link #dtypes} says otherwise.
     *
     * @param numTokens 0 .. 2<sup>31</sup> - 1
     * @param numHeads query heads, 1 .. 2<sup>31</sup> - 1
     * @param headDim 1 .. 2<sup>31</sup> - 1; no multiple is asked for
     */
    public MergeArgs(long numTokens, long numHeads, long headDim) {
        this.numTokens = numTokens;
        this.numHeads = numHeads;
        this.headDim = headDim;
    }

    /**
     * Element types.
     *
     * @param in of both parts: F32, F16 or BF16
     * @param outType of out: any of the three
     * @return this
     */
    public MergeArgs dtypes(Dtype in, Dtype outType) {
        inDtype = Objects.requireNonNull(in, "in");
        outDtype = Objects.requireNonNull(outType, "outType");
        return this;
    }

    /**
     * The base of all log-sum-exps.
     *
     * @param value true: 2; false, the default: e
     * @return this
     */
    public MergeArgs base2(boolean value) {
        base2 = value;
        return this;
    }

    /**
     * The first part, normalised, as attention gives it. Where its LSE is infinite it is empty, and
     * not read.
     *
     * @param values [tokens, heads, dim] of the in dtype
     * @param lse [tokens, heads] of {@link Dtype#F32}
     * @return this
     */
    public MergeArgs a(Tensor values, Tensor lse) {
        a = values;
        aLse = lse;
        return this;
    }

    /**
     * The second part, likewise.
     *
     * @param values [tokens, heads, dim] of the in dtype
     * @param lse [tokens, heads] of {@link Dtype#F32}, with the strides of the first part's
     * @return this
     */
    public MergeArgs b(Tensor values, Tensor lse) {
        b = values;
        bLse = lse;
        return this;
    }

    /**
     * Where the result goes; may be one of the parts itself. Where both parts are empty it is 0,
     * and its LSE -infinity.
     *
     * @param values [tokens, heads, dim] of the out dtype
     * @param lse [tokens, heads] of {@link Dtype#F32}, with the strides of the first part's; null:
     *     not wanted
     * @return this
     */
    public MergeArgs out(Tensor values, Tensor lse) {
        out = values;
        outLse = lse;
        return this;
    }
}
