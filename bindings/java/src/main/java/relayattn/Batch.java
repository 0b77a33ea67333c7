package relayattn;

import static relayattn.Tensor.Access.READ;
import static relayattn.Tensor.Access.WRITE;

import java.lang.ref.Reference;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One step of many sequences; made once and used again for every step. Engines make one for each
 * kind of step: one for decoding with {@link PlanOptions#graph}, say, and one for prefill without.
 *
 * <p>It is used by one thread at a time: a second one gets {@link ErrorCode#BUSY} at once, except
 * that calls of {@link #attendWorker} may run at the same time, and close at any time. Closing it
 * aborts an open step. A steady step (begin, attend for each layer, commit) makes no garbage if its
 * {@link BatchInput}, {@link AttendArgs} and {@link Tensor}s are used again.
 */
public final class Batch extends NativeObject {
    private static final int ALONE = -1;

    private final Cache cache;
    private final Tensor scratch;
    private final Tensor metadata;
    /**
     * How many workers are in a call, or ALONE for another kind of call. The library would refuse
     * such calls, too; but the shape that tensors were checked against must hold until theirs ends.
     */
    private final AtomicInteger users = new AtomicInteger();
    private boolean open;
    private long newTokens;
    private long paddedTokens;
    private Tensor treeMask;

    private Batch(long handle, Cache cache, Tensor scratch, Tensor metadata) {
        super(handle, Native::ra_batch_release, new Object[] {cache.memory, scratch, metadata});
        this.cache = cache;
        this.scratch = scratch;
        this.metadata = metadata;
    }

    /**
     * Makes a batch for steps over sequences of one cache, and allocates its memory for the bounds
     * of the options. For set-up, not for every step.
     *
     * @param cache the cache; kept alive
     * @param options bounds and flags; read now
     * @return the batch, to be closed
     * @throws RelayAttentionException {@link ErrorCode#ARGUMENT}: a bound is out of bounds; given
     *     memory is too small; graph without maxRows and maxTokens. {@link ErrorCode#UNSUPPORTED}:
     *     graph on a CPU context. {@link ErrorCode#MEMORY}: no room
     */
    public static Batch create(Cache cache, PlanOptions options) {
        Tensor scratch = options.scratch;
        Tensor metadata = options.metadata;
        boolean host = cache.context.onHost;
        long scratchSize = Tensor.size(scratch, "PlanOptions.scratch", host);
        long metadataSize = Tensor.size(metadata, "PlanOptions.metadata", host);
        try {
            long handle = Native.batch_create(cache.handle, options.maxRows, options.maxTokens,
                    options.maxRuns, options.maxKvTokens, options.mode.number, options.flags,
                    Tensor.address(scratch), scratchSize, Tensor.address(metadata), metadataSize);
            return new Batch(handle, cache, scratch, metadata);
        } finally {
            Reference.reachabilityFence(cache);
            Reference.reachabilityFence(scratch);
            Reference.reachabilityFence(metadata);
        }
    }

    /**
     * How many bytes of {@link PlanOptions#scratch} a batch with these options needs. Set the four
     * bounds first: what they leave open is guessed.
     *
     * @param cache the cache
     * @param options bounds and flags; memory given there is not looked at
     * @return bytes
     * @throws RelayAttentionException as {@link #create}, without what is about memory
     */
    public static long scratchBytes(Cache cache, PlanOptions options) {
        try {
            return Native.batch_memory_scratch(cache.handle, options.maxRows, options.maxTokens,
                    options.maxRuns, options.maxKvTokens, options.mode.number, options.flags);
        } finally {
            Reference.reachabilityFence(cache);
        }
    }

    /**
     * How many bytes of {@link PlanOptions#metadata} a batch with these options needs; otherwise as
     * {@link #scratchBytes}.
     *
     * @param cache the cache
     * @param options bounds and flags; memory given there is not looked at
     * @return bytes
     * @throws RelayAttentionException as {@link #create}, without what is about memory
     */
    public static long metadataBytes(Cache cache, PlanOptions options) {
        try {
            return Native.batch_memory_metadata(cache.handle, options.maxRows, options.maxTokens,
                    options.maxRuns, options.maxKvTokens, options.mode.number, options.flags);
        } finally {
            Reference.reachabilityFence(cache);
        }
    }

    /**
     * How many free pages of a layer group a begin with this input would take now: for its new
     * tokens, and for partial pages shared by forks. The batch may have an open step, but no
     * sequence of the input may be in one.
     *
     * @param input the sequences and their new tokens
     * @param group the layer group, see {@link Model#layerGroup(long)}
     * @return pages
     * @throws RelayAttentionException {@link ErrorCode#ARGUMENT}, {@link ErrorCode#HANDLE},
     *     {@link ErrorCode#BUSY}: as {@link #begin(BatchInput, long)}; or no such group
     */
    public long pagesNeeded(BatchInput input, long group) {
        enter("pagesNeeded");
        try {
            return input.pagesNeeded(this, group, cache.context.onHost);
        } finally {
            leave();
        }
    }

    /**
     * As {@link #begin(BatchInput, long)}, on the default queue.
     *
     * @param input the sequences and their new tokens
     * @throws RelayAttentionException as there
     */
    public void begin(BatchInput input) {
        begin(input, 0);
    }

    /**
     * Begins a step: takes pages for all new tokens, copies partial pages that forks share, and
     * plans the work. The sequences are then in the step until its commit or abort, and are kept
     * alive by it. All or nothing. The input is read before this returns.
     *
     * @param input the sequences and their new tokens
     * @param queue where to order the work; 0 on the CPU
     * @throws RelayAttentionException {@link ErrorCode#STATE}: the batch has an open step.
     *     {@link ErrorCode#HANDLE}: the batch or a sequence is closed. {@link ErrorCode#BUSY}:
     *     another thread uses the batch, or a sequence is in an open step. {@link ErrorCode#PAGES}:
     *     too few free pages in some group. {@link ErrorCode#ARGUMENT}: a length or flag is out of
     *     bounds, a sequence twice or of another cache, a chain beyond 2<sup>31</sup> - 1 tokens, a
     *     tree mask without {@link PlanOptions#tree} or too small, spans against the rules, a step
     *     larger than the batch's bounds, or a queue on the CPU
     */
    public void begin(BatchInput input, long queue) {
        enter("begin");
        try {
            input.begin(this, cache.context.onHost, queue);
        } finally {
            leave();
        }
    }

    /**
     * Begins a step of made-up sequences, for warming up, measuring and capturing a graph. It takes
     * no page, reads whatever some pages hold and writes none: k and v may be left out, and are not
     * kept. Results mean nothing and may be NaN; time and shapes are as in a real step without
     * sharing. End it by abort, or by commit without kept.
     *
     * @param rows how many sequences
     * @param qLen new tokens of each
     * @param kvLen tokens of each, the new ones included
     * @param queue where to order the work; 0 on the CPU
     * @throws RelayAttentionException {@link ErrorCode#STATE}: the batch has an open step.
     *     {@link ErrorCode#BUSY}: another thread uses it. {@link ErrorCode#ARGUMENT}: rows or qLen
     *     is negative, kvLen is below qLen, rows * kvLen is above 2<sup>31</sup> - 1, the batch's
     *     bounds are passed, or a queue on the CPU
     */
    public void beginDummy(long rows, long qLen, long kvLen, long queue) {
        enter("beginDummy");
        try {
            Native.ra_batch_begin_dummy(handle, rows, qLen, kvLen, queue);
            begun(rows * qLen, 0, null);
        } finally {
            leave();
        }
    }

    /**
     * As {@link #attend(long, AttendArgs, long)}, on the default queue.
     *
     * @param layer the layer
     * @param args its tensors
     * @throws RelayAttentionException as there
     */
    public void attend(long layer, AttendArgs args) {
        attend(layer, args, 0);
    }

    /**
     * One layer of the open step: puts k and v of the new tokens into their slots, then computes
     * out and lse for every row. A layer may be attended any number of times in a step, in any
     * order of layers, but after the layer that it borrows K and V from; the same k and v again
     * change nothing. With q and out both null it only appends. Complete on return on a CPU
     * context; else ordered on the queue, and it can be captured in a graph with
     * {@link PlanOptions#graph}.
     *
     * @param layer the layer
     * @param args its tensors; read before this returns
     * @param queue where to order the work; 0 on the CPU
     * @throws RelayAttentionException {@link ErrorCode#STATE}: no open step.
     *     {@link ErrorCode#BUSY}: another thread uses the batch. {@link ErrorCode#ARGUMENT}: no
     *     such layer, or never set; a tensor is missing, or given though it must not be, too small,
     *     of another element size, or has strides or alignment that are out of bounds; a scale or
     *     soft-cap; a queue on the CPU
     */
    public void attend(long layer, AttendArgs args, long queue) {
        enter("attend");
        try {
            run(layer, args, queue, 0, 0, 0);
        } finally {
            leave();
        }
    }

    /**
     * The attention of one layer by the caller's own threads, on CPU contexts only. Each of
     * {@code numWorkers} threads calls it once per layer and step, with its own {@code worker} and
     * otherwise equal arguments; each draws work until none is left, and none waits for another.
     * out and lse are complete when all calls have returned, which the caller's own barrier finds
     * out; only then may calls for another layer begin. k and v are null here: they are in the
     * pages already, by an {@link #attend(long, AttendArgs)} with q and out null.
     *
     * @param layer the layer
     * @param args its tensors, none of them a heap array
     * @param worker 0 .. numWorkers - 1
     * @param numWorkers how many threads call
     * @throws RelayAttentionException {@link ErrorCode#UNSUPPORTED}: not a CPU context.
     *     {@link ErrorCode#STATE}: no open step, or calls for another layer of the same group have
     *     not all returned. {@link ErrorCode#BUSY}: another kind of call uses the batch.
     *     {@link ErrorCode#ARGUMENT}: worker or numWorkers is out of bounds, k and v are given, or
     *     as in {@link #attend(long, AttendArgs, long)}
     */
    public void attendWorker(long layer, AttendArgs args, long worker, long numWorkers) {
        enterWorker();
        try {
            Tensor.refuseHeap(args.q, "q");
            Tensor.refuseHeap(args.out, "out");
            Tensor.refuseHeap(args.lse, "lse");
            run(layer, args, 0, 1, worker, numWorkers);
        } finally {
            users.decrementAndGet();
        }
    }

    /**
     * Ends the step and makes all new tokens part of their sequences, on the default queue.
     *
     * @throws RelayAttentionException as {@link #commit(long[], long[], long)}
     */
    public void commit() {
        commit(null, null, 0);
    }

    /**
     * Ends the step and makes some of the new tokens part of their sequences, on the default queue.
     *
     * @param kept how many new tokens each sequence keeps: the first ones
     * @throws RelayAttentionException as {@link #commit(long[], long[], long)}
     */
    public void commit(long[] kept) {
        commit(kept, null, 0);
    }

    /**
     * Ends the step and makes new tokens part of their sequences. Sequence i keeps {@code kept[i]}
     * of its new tokens, 0 .. its q length (0 with {@link BatchInput#NEW_ABSENT}): those that
     * {@code index} names, or without it the first ones. K and V of kept tokens are moved together,
     * in all layers, and get consecutive positions: give tree tokens the position embedding of
     * their depth, not of their slot. Pages no longer needed are given back.
     *
     * @param kept a count for each sequence; null: all of its new tokens
     * @param index for one sequence after the other, the kept tokens' places among its new ones,
     *     ascending: an accepted path of a draft tree; null: the first ones
     * @param queue where to order the work; 0 on the CPU
     * @throws RelayAttentionException {@link ErrorCode#STATE}: no open step.
     *     {@link ErrorCode#BUSY}: another thread uses the batch. {@link ErrorCode#ARGUMENT}: a
     *     count or index is out of bounds, a length does not fit, index without kept, or a queue on
     *     the CPU; the step then stays open
     */
    public void commit(long[] kept, long[] index, long queue) {
        enter("commit");
        try {
            Native.ra_batch_commit(handle, kept, index, queue);
            ended();
        } finally {
            leave();
        }
    }

    /**
     * As {@link #abort(long)}, on the default queue.
     *
     * @throws RelayAttentionException as there
     */
    public void abort() {
        abort(0);
    }

    /**
     * Ends the step as if it had never begun: its pages return, and its sequences are as they were.
     *
     * @param queue where to order the work; 0 on the CPU
     * @throws RelayAttentionException {@link ErrorCode#STATE}: no open step.
     *     {@link ErrorCode#BUSY}: another thread uses the batch. {@link ErrorCode#ARGUMENT}: a
     *     queue on the CPU
     */
    public void abort(long queue) {
        enter("abort");
        try {
            Native.ra_batch_abort(handle, queue);
            ended();
        } finally {
            leave();
        }
    }

    /**
     * What was planned for a layer group in the step that was begun last, open or ended.
     *
     * @param group the layer group
     * @param property what to tell
     * @return its value
     * @throws RelayAttentionException {@link ErrorCode#STATE}: no step was ever begun.
     *     {@link ErrorCode#BUSY}: another thread uses the batch. {@link ErrorCode#ARGUMENT}: no
     *     such group
     */
    public long query(long group, PlanInfo property) {
        enter("query");
        try {
            return Native.ra_batch_query(handle, group, property.number);
        } finally {
            leave();
        }
    }

    /** Told by what began a step, from inside its call. */
    void begun(long tokens, long padded, Tensor mask) {
        open = true;
        newTokens = tokens;
        paddedTokens = padded;
        treeMask = mask;
    }

    private void ended() {
        open = false;
        treeMask = null;
    }

    /** Both kinds of attend. */
    private void run(long layer, AttendArgs args, long queue, int asWorker, long worker,
            long numWorkers) {
        Tensor q = args.q;
        Tensor out = args.out;
        Tensor k = args.k;
        Tensor v = args.v;
        Tensor lse = args.lse;
        Tensor sinks = args.sinkLogits;
        Tensor slopes = args.alibiSlopes;
        LayerShape s = open ? cache.shape(layer) : null; // null: the library refuses the call
        long outBytes = 0;
        long lseBytes = 0;
        if (s != null) {
            boolean host = cache.context.onHost;
            long rows = newTokens + paddedTokens;
            long heads = s.numQHeads();
            Tensor.prepare(q, "q", READ, host, rows, heads, s.headDimK(), s.qDtype());
            Tensor.prepare(k, "k", READ, host, newTokens, s.numKvHeads(), s.headDimK(), s.kDtype());
            Tensor.prepare(v, "v", READ, host, newTokens, s.numKvHeads(), s.headDimV(), s.vDtype());
            Tensor.prepare(sinks, "sinkLogits", READ, host, 1, 1, heads, Dtype.F32);
            Tensor.prepare(slopes, "alibiSlopes", READ, host, 1, 1, heads, Dtype.F32);
            outBytes = Tensor.prepare(out, "out", WRITE, host, rows, heads, s.headDimV(),
                    s.outDtype());
            lseBytes = Tensor.prepare(lse, "lse", WRITE, host, rows, heads, 1, Dtype.F32);
        }
        try {
            Native.batch_attend(handle, layer, Tensor.address(q), Tensor.tokenStride(q),
                    Tensor.headStride(q), Tensor.address(out), Tensor.tokenStride(out),
                    Tensor.headStride(out), Tensor.address(k), Tensor.tokenStride(k),
                    Tensor.headStride(k), Tensor.address(v), Tensor.tokenStride(v),
                    Tensor.headStride(v), Tensor.address(lse),
                    Tensor.floatStride("lse", Tensor.tokenStride(lse)),
                    Tensor.floatStride("lse", Tensor.headStride(lse)), Tensor.address(sinks),
                    Tensor.address(slopes), args.softmaxScale, args.logitSoftcap, queue, asWorker,
                    worker, numWorkers);
        } finally {
            fence(q, out, lse);
            fence(k, v, sinks);
            Reference.reachabilityFence(slopes);
        }
        Tensor.copyOut(out, outBytes);
        Tensor.copyOut(lse, lseBytes);
    }

    private static void fence(Tensor a, Tensor b, Tensor c) {
        Reference.reachabilityFence(a);
        Reference.reachabilityFence(b);
        Reference.reachabilityFence(c);
    }

    private void enter(String method) {
        if (!users.compareAndSet(0, ALONE)) {
            throw busy(method);
        }
    }

    private void leave() {
        users.set(0);
        Reference.reachabilityFence(this);
    }

    private void enterWorker() {
        int workers;
        do {
            workers = users.get();
            if (workers == ALONE) {
                throw busy("attendWorker");
            }
        } while (!users.compareAndSet(workers, workers + 1));
    }

    private static RelayAttentionException busy(String method) {
        return new RelayAttentionException(ErrorCode.BUSY,
                "Batch." + method + ": the batch is in use by another thread");
    }
}
