package relayattn;

import java.util.Objects;

/**
 * What {@link Batch#create(Cache, PlanOptions)} takes. The defaults suit most callers. The first
 * two bounds bound every step: a larger one is {@link ErrorCode#ARGUMENT}. A bound of 0, the
 * default, is no bound: the plan then begins with room for 64 sequences, and a begin that needs
 * more allocates it. A batch with {@link #graph} or with memory of the caller's cannot grow: set
 * all four.
 */
public final class PlanOptions {
    long maxRows;
    long maxTokens;
    long maxRuns;
    long maxKvTokens;
    PlanMode mode = PlanMode.AUTO;
    int flags;
    Tensor scratch;
    Tensor metadata;

    /** The defaults. */
    public PlanOptions() {
    }

    /**
     * Most sequences of a step.
     *
     * @param value 0 .. 2<sup>31</sup> - 1
     * @return this
     */
    public PlanOptions maxRows(long value) {
        maxRows = value;
        return this;
    }

    /**
     * Most new tokens of a step, padded ones included; 0 sizes for 4 a sequence.
     *
     * @param value 0 .. 2<sup>31</sup> - 1
     * @return this
     */
    public PlanOptions maxTokens(long value) {
        maxTokens = value;
        return this;
    }

    /**
     * Most prefixes, forks and tails in the tree of a step; 0 sizes for 4 a sequence.
     *
     * @param value 0 .. 2<sup>31</sup> - 1
     * @return this
     */
    public PlanOptions maxRuns(long value) {
        maxRuns = value;
        return this;
    }

    /**
     * Most tokens in that tree, a shared one once; 0 sizes for the whole cache.
     *
     * @param value 0 .. 2<sup>31</sup> - 1
     * @return this
     */
    public PlanOptions maxKvTokens(long value) {
        maxKvTokens = value;
        return this;
    }

    /**
     * How shared runs are read; {@link PlanMode#AUTO} by default.
     *
     * @param value the mode
     * @return this
     */
    public PlanOptions mode(PlanMode value) {
        mode = Objects.requireNonNull(value, "mode");
        return this;
    }

    /**
     * Whether attend can be captured in a CUDA graph and replayed in later steps. CUDA only, and
     * {@link #maxRows} and {@link #maxTokens} must be set. False by default.
     *
     * @param value true for yes
     * @return this
     */
    public PlanOptions graph(boolean value) {
        return flag(NativeConstants.RA_PLAN_GRAPH, value);
    }

    /**
     * Whether a sequence's output has the same bits alone and in any batch, on any number of
     * threads. The mode is then not considered; slower. False by default.
     *
     * @param value true for yes
     * @return this
     */
    public PlanOptions batchInvariant(boolean value) {
        return flag(NativeConstants.RA_PLAN_BATCH_INVARIANT, value);
    }

    /**
     * Whether steps may have a {@linkplain BatchInput#treeMask tree mask}. False by default.
     *
     * @param value true for yes
     * @return this
     */
    public PlanOptions tree(boolean value) {
        return flag(NativeConstants.RA_PLAN_TREE, value);
    }

    /**
     * Device memory for parts of results, at least {@link Batch#scratchBytes} bytes. Batches whose
     * attends never run at once may share it. The batch keeps a buffer alive; memory given by
     * address must outlive it. Not a heap array.
     *
     * @param value a direct buffer, or {@link Tensor#ofAddress(long, long)}; null, the default: the
     *     batch's own
     * @return this
     */
    public PlanOptions scratch(Tensor value) {
        scratch = value;
        return this;
    }

    /**
     * Device memory for the work list, of this batch alone, at least {@link Batch#metadataBytes}
     * bytes; otherwise as {@link #scratch}.
     *
     * @param value a direct buffer, or {@link Tensor#ofAddress(long, long)}; null, the default: the
     *     batch's own
     * @return this
     */
    public PlanOptions metadata(Tensor value) {
        metadata = value;
        return this;
    }

    private PlanOptions flag(int bit, boolean value) {
        flags = value ? flags | bit : flags & ~bit;
        return this;
    }
}
