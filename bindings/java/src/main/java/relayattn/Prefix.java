package relayattn;

import static relayattn.Tensor.Access.READ;
import static relayattn.Tensor.Access.WRITE;

import java.lang.ref.Reference;

/**
 * A run of tokens that many requests share. It comes after its parent's, or first of all; it is
 * open while it is being written, and never changes once sealed. Only sealed prefixes have children
 * and sequences. There are two ways to one: {@link #create}, {@link #write(long, long, long,
 * Tensor, Tensor) write}, {@link #seal() seal} with K and V at hand; or prefill a sequence in steps
 * and freeze it by {@link #fromSequence}, which copies nothing.
 *
 * <p>Its pages return to the cache when it is closed and nothing hangs under it. In a window group
 * it keeps the last {@link LayerOptions#retain retained} tokens of its run only. All methods may be
 * called from any thread.
 */
public final class Prefix extends NativeObject {
    final Cache cache;

    Prefix(long handle, Cache cache) {
        super(handle, Native::ra_prefix_release, cache.memory);
        this.cache = cache;
    }

    /**
     * Makes an open prefix and takes its pages: at least ceil(numTokens / page size) in each group
     * without a window.
     *
     * @param cache where its pages come from; kept alive
     * @param parent what it goes on from, sealed, of the same cache, and kept alive; null: it is
     *     the first
     * @param numTokens how many tokens it has of its own, at least 1
     * @return the prefix, to be closed
     * @throws RelayAttentionException {@link ErrorCode#ARGUMENT}: {@code numTokens} is below 1, the
     *     chain would pass 2<sup>31</sup> - 1 tokens, or the parent belongs to another cache.
     *     {@link ErrorCode#STATE}: the parent is not sealed. {@link ErrorCode#PAGES}: too few free
     *     pages; none is taken
     */
    public static Prefix create(Cache cache, Prefix parent, long numTokens) {
        try {
            return new Prefix(
                    Native.ra_prefix_create(cache.handle, handle(parent), numTokens), cache);
        } finally {
            Reference.reachabilityFence(cache);
            Reference.reachabilityFence(parent);
        }
    }

    /**
     * Freezes the first tokens of a sequence as a sealed prefix, without copying. The sequence
     * keeps its tokens and goes on as a child of the new prefix. The prefix's own tokens begin
     * where the prefix ends that the sequence was last attached to or frozen at; if
     * {@code numTokens} does not reach beyond that, they are the whole chain.
     *
     * @param sequence the sequence
     * @param numTokens 1 .. its length, or -1 for all
     * @return the prefix, to be closed
     * @throws RelayAttentionException {@link ErrorCode#BUSY}: the sequence is in an open step.
     *     {@link ErrorCode#ARGUMENT}: {@code numTokens} is out of bounds; an empty sequence has
     *     nothing to freeze. {@link ErrorCode#NOT_RETAINED}: a window layer no longer has what a
     *     token after them would see
     */
    public static Prefix fromSequence(Sequence sequence, long numTokens) {
        try {
            return new Prefix(Native.ra_prefix_from_sequence(sequence.handle, numTokens),
                    sequence.cache);
        } finally {
            Reference.reachabilityFence(sequence);
        }
    }

    /**
     * As {@link #write(long, long, long, Tensor, Tensor, long)}, on the default queue.
     *
     * @param layer the layer
     * @param pos the first token
     * @param numTokens how many
     * @param k their K
     * @param v their V
     * @throws RelayAttentionException as there
     */
    public void write(long layer, long pos, long numTokens, Tensor k, Tensor v) {
        write(layer, pos, numTokens, k, v, 0);
    }

    /**
     * Copies K and V of one layer into the open prefix, at its own tokens pos, pos + 1, .. (0 is
     * the first token of this prefix, not of its chain). Any order and any cut into calls will do,
     * and a token may be written again while the prefix is open. Tokens that a window layer would
     * not keep are skipped. Every layer with K and V of its own must be written; nothing checks
     * that. Complete on return on a CPU context; else ordered on the queue.
     *
     * @param layer the layer
     * @param pos the first token
     * @param numTokens how many
     * @param k their K, [numTokens, KV heads, head dim of K] of the layer's K dtype
     * @param v their V, [numTokens, KV heads, head dim of V] of the layer's V dtype
     * @param queue where to order the work; 0 on the CPU
     * @throws RelayAttentionException {@link ErrorCode#STATE}: the prefix is sealed.
     *     {@link ErrorCode#ARGUMENT}: no such layer, or it has a KV layer; the tokens are not all
     *     within the prefix; a tensor is missing, too small, of another element size, or has
     *     strides or alignment that are out of bounds; a queue on the CPU
     */
    public void write(long layer, long pos, long numTokens, Tensor k, Tensor v, long queue) {
        prepare(layer, numTokens, k, v, READ);
        try {
            Native.prefix_write(handle, layer, pos, Tensor.address(k), Tensor.tokenStride(k),
                    Tensor.headStride(k), Tensor.address(v), Tensor.tokenStride(v),
                    Tensor.headStride(v), numTokens, queue);
        } finally {
            fence(k, v);
        }
    }

    /**
     * As {@link #read(long, long, long, Tensor, Tensor, long)}, on the default queue.
     *
     * @param layer the layer
     * @param pos the first token
     * @param numTokens how many
     * @param k where their K goes
     * @param v where their V goes
     * @throws RelayAttentionException as there
     */
    public void read(long layer, long pos, long numTokens, Tensor k, Tensor v) {
        read(layer, pos, numTokens, k, v, 0);
    }

    /**
     * The reverse of write: copies K and V of the prefix's own tokens out, bit for bit, for saving
     * or moving them. Open or sealed. The parent's tokens are read through the parent. Complete on
     * return on a CPU context; else ordered on the queue.
     *
     * @param layer the layer
     * @param pos the first token
     * @param numTokens how many
     * @param k where their K goes, [numTokens, KV heads, head dim of K] of the layer's K dtype
     * @param v where their V goes, [numTokens, KV heads, head dim of V] of the layer's V dtype
     * @param queue where to order the work; 0 on the CPU
     * @throws RelayAttentionException {@link ErrorCode#NOT_RETAINED}: a window layer has not kept
     *     one of these tokens; nothing is written. {@link ErrorCode#ARGUMENT}: as for write
     */
    public void read(long layer, long pos, long numTokens, Tensor k, Tensor v, long queue) {
        LayerShape shape = prepare(layer, numTokens, k, v, WRITE);
        try {
            Native.prefix_read(handle, layer, pos, Tensor.address(k), Tensor.tokenStride(k),
                    Tensor.headStride(k), Tensor.address(v), Tensor.tokenStride(v),
                    Tensor.headStride(v), numTokens, queue);
        } finally {
            fence(k, v);
        }
        Tensor.copyOut(k, numTokens * shape.numKvHeads() * shape.headDimK() * shape.kDtype().size);
        Tensor.copyOut(v, numTokens * shape.numKvHeads() * shape.headDimV() * shape.vDtype().size);
    }

    /**
     * As {@link #seal(long)}, on the default queue.
     *
     * @throws RelayAttentionException as there
     */
    public void seal() {
        seal(0);
    }

    /**
     * Ends the writing: from now on the prefix can be attached to, be a parent and be split, and it
     * never changes again. Later work of the library on any queue is ordered after the writes.
     *
     * @param queue where to order the work; 0 on the CPU
     * @throws RelayAttentionException {@link ErrorCode#STATE}: it is sealed already.
     *     {@link ErrorCode#ARGUMENT}: a queue on the CPU
     */
    public void seal(long queue) {
        try {
            Native.ra_prefix_seal(handle, queue);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Cuts this sealed prefix after some of its own tokens, without copying: the result has the
     * first part, and this becomes its child with the rest. Children and sequences of this see the
     * same tokens as before. So a request that shares only the beginning can attach to the head.
     *
     * @param numTokens 1 .. own length - 1
     * @return the head, a prefix in its own right, to be closed
     * @throws RelayAttentionException {@link ErrorCode#STATE}: the prefix is open.
     *     {@link ErrorCode#ARGUMENT}: {@code numTokens} is out of bounds.
     *     {@link ErrorCode#NOT_RETAINED}: a window layer no longer has what a token at the cut
     *     would see
     */
    public Prefix split(long numTokens) {
        try {
            return new Prefix(Native.ra_prefix_split(handle, numTokens), cache);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * How many tokens it has of its own. Open or sealed.
     *
     * @return tokens
     */
    public long length() {
        try {
            return Native.prefix_length_own(handle);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * How many tokens its whole chain has, parents included: the position after its last.
     *
     * @return tokens
     */
    public long totalLength() {
        try {
            return Native.prefix_length_total(handle);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    private LayerShape prepare(long layer, long numTokens, Tensor k, Tensor v,
            Tensor.Access access) {
        LayerShape shape = cache.shape(layer);
        if (shape != null) {
            boolean host = cache.context.onHost;
            Tensor.prepare(k, "k", access, host, numTokens, shape.numKvHeads(), shape.headDimK(),
                    shape.kDtype());
            Tensor.prepare(v, "v", access, host, numTokens, shape.numKvHeads(), shape.headDimV(),
                    shape.vDtype());
        }
        return shape;
    }

    private void fence(Tensor k, Tensor v) {
        Reference.reachabilityFence(this);
        Reference.reachabilityFence(k);
        Reference.reachabilityFence(v);
    }
}
