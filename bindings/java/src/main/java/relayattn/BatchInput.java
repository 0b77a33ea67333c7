package relayattn;

import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.Objects;

/**
 * The sequences of a step and their new tokens, for {@link Batch#begin(BatchInput)}. To be used
 * again: {@link #clear()}, then add. It keeps the sequences reachable, and the order of the adds is
 * the order of rows in q, k, v and out.
 */
public final class BatchInput {
    /** Row flag: the sequence's new tokens all see each other. */
    public static final int NONCAUSAL = NativeConstants.RA_ROW_NONCAUSAL;
    /**
     * Row flag: the sequence's new tokens are queries only; no K and V of theirs is seen or kept.
     * For cross-attention and for asking again about what is cached.
     */
    public static final int NEW_ABSENT = NativeConstants.RA_ROW_NEW_ABSENT;

    private final ArrayList<Sequence> sequences = new ArrayList<>();
    private final LongArray handles = new LongArray();
    private final LongArray qLens = new LongArray();
    private final LongArray rowFlags = new LongArray();
    private final LongArray spans = new LongArray();
    private Tensor treeMask;
    private long treeStride;
    private long paddedTokens;

    /** An empty step, which is a step, too. */
    public BatchInput() {
    }

    /**
     * Takes everything out: sequences, spans, tree mask, padded tokens.
     *
     * @return this
     */
    public synchronized BatchInput clear() {
        sequences.clear();
        handles.clear();
        qLens.clear();
        rowFlags.clear();
        spans.clear();
        treeMask = null;
        treeStride = 0;
        paddedTokens = 0;
        return this;
    }

    /**
     * Adds a sequence without row flags.
     *
     * @param sequence of the batch's cache, not in here yet, and in no open step
     * @param qLen how many new tokens it has, 0 or more
     * @return this
     */
    public BatchInput add(Sequence sequence, long qLen) {
        return add(sequence, qLen, 0);
    }

    /**
     * Adds a sequence.
     *
     * @param sequence of the batch's cache, not in here yet, and in no open step
     * @param qLen how many new tokens it has, 0 or more
     * @param flags bits: {@link #NONCAUSAL}, {@link #NEW_ABSENT}
     * @return this
     */
    public synchronized BatchInput add(Sequence sequence, long qLen, int flags) {
        sequences.add(Objects.requireNonNull(sequence, "sequence"));
        handles.add(sequence.handle);
        qLens.add(qLen);
        rowFlags.add(flags);
        return this;
    }

    /**
     * New tokens begin .. end - 1 of a sequence see each other both ways, as parts of an image do.
     * Spans of a sequence do not overlap, and its flags are 0. Not together with a tree mask.
     *
     * @param row which added sequence, from 0
     * @param begin first of its new tokens, from 0
     * @param end behind the last one
     * @return this
     */
    public synchronized BatchInput span(long row, long begin, long end) {
        spans.add(row);
        spans.add(begin);
        spans.add(end);
        return this;
    }

    /**
     * Which new tokens see which, for verifying a tree of drafts. New token t of the step, counted
     * over all sequences, has the row of bytes at t * stride; bit j of it, bit j % 8 of its byte
     * j / 8, lets it see new token j of its own sequence. Set its own bit, too. Earlier tokens stay
     * visible. Needs {@link PlanOptions#tree}. The batch keeps it until the step's end, and it must
     * not change before.
     *
     * @param mask T rows of {@code stride} bytes; null, the default: causal order
     * @param stride bytes, at least ceil(longest q length / 8)
     * @return this
     */
    public synchronized BatchInput treeMask(Tensor mask, long stride) {
        treeMask = mask;
        treeStride = stride;
        return this;
    }

    /**
     * Rows of q and out after the real ones, for tensors of a fixed shape; they become 0 in out.
     *
     * @param tokens 0, the default, or more
     * @return this
     */
    public synchronized BatchInput paddedTokens(long tokens) {
        paddedTokens = tokens;
        return this;
    }

    /**
     * How many sequences are in here.
     *
     * @return 0 or more
     */
    public synchronized int size() {
        return sequences.size();
    }

    synchronized long pagesNeeded(Batch batch, long group, boolean hostDevice) {
        long tokens = newTokens();
        prepareMask(tokens, hostDevice);
        try {
            return Native.batch_pages_needed(batch.handle, handles.address(), handles.size(),
                    qLens.address(), qLens.size(), rowFlags.address(), rowFlags.size(),
                    Tensor.address(treeMask), treeStride, spans.address(), spans.size() / 3,
                    paddedTokens, group);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Begins a step, and tells what of this the batch has to know. */
    synchronized void begin(Batch batch, boolean hostDevice, long queue) {
        long tokens = newTokens();
        prepareMask(tokens, hostDevice);
        try {
            Native.batch_begin(batch.handle, handles.address(), handles.size(), qLens.address(),
                    qLens.size(), rowFlags.address(), rowFlags.size(), Tensor.address(treeMask),
                    treeStride, spans.address(), spans.size() / 3, paddedTokens, queue);
        } finally {
            Reference.reachabilityFence(this);
        }
        batch.begun(tokens, paddedTokens, treeMask);
    }

    private void prepareMask(long tokens, boolean hostDevice) {
        if (treeMask != null && treeStride > 0) {
            Tensor.prepare(treeMask, "treeMask", Tensor.Access.READ, hostDevice, 1, 1,
                    Tensor.times(tokens, treeStride), Dtype.I8);
        }
    }

    /** A negative length, and a sum that is too large, the library refuses. */
    private long newTokens() {
        long sum = 0;
        for (int i = 0; i < qLens.size(); ++i) {
            long qLen = qLens.get(i);
            if (qLen > Integer.MAX_VALUE) {
                return Long.MAX_VALUE;
            }
            sum += Math.max(qLen, 0);
        }
        return sum;
    }
}
