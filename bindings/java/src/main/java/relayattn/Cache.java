package relayattn;

import java.lang.ref.Reference;
import java.util.Objects;

/**
 * Pages of K and V, for every layer of a model: a fixed number for each layer group, all allocated
 * when the cache is made. Prefixes and sequences take pages and give them back; nothing is ever
 * evicted behind the caller's back. The pages' memory goes when the cache and the last prefix,
 * sequence and batch of it are closed. All methods may be called from any thread; calls on the
 * prefixes and sequences of one cache take turns inside.
 */
public final class Cache extends NativeObject {
    final Context context;
    /** The caller's memory for the pages, if any: everything in the cache keeps it. */
    final Tensor memory;
    private final LayerShape[] shapes;

    private Cache(long handle, Context context, Tensor memory, LayerShape[] shapes) {
        super(handle, Native::ra_cache_release, memory);
        this.context = context;
        this.memory = memory;
        this.shapes = shapes;
    }

    /**
     * Makes a cache for a copy of the model as it is now, and allocates its pages unless the
     * options give memory. What pages hold at first is unspecified. For set-up, not for every step.
     *
     * @param context where it computes; the cache keeps it alive
     * @param model what its layers look like
     * @param options how large it is; read now
     * @return the cache, to be closed
     * @throws RelayAttentionException {@link ErrorCode#ARGUMENT}: an option is out of bounds, or
     *     the given memory is too small. {@link ErrorCode#STATE}: no layer of the model is set.
     *     {@link ErrorCode#UNSUPPORTED}: the device cannot serve a layer. {@link ErrorCode#MEMORY}:
     *     the pages cannot be allocated
     */
    public static Cache create(Context context, Model model, CacheOptions options) {
        Tensor memory = options.memory;
        long size = Tensor.size(memory, "CacheOptions.memory", context.onHost);
        try {
            return model.snapshot(shapes -> new Cache(
                    Native.cache_create(context.handle, model.handle, options.pageSize,
                            options.capacityTokens, options.maxSequences, Tensor.address(memory),
                            size),
                    context, memory, shapes));
        } finally {
            Reference.reachabilityFence(context);
            Reference.reachabilityFence(model);
            Reference.reachabilityFence(memory);
        }
    }

    /**
     * How many bytes of device memory a cache with these options takes for its pages.
     *
     * @param context where it would compute
     * @param model what its layers look like
     * @param options how large it would be; memory given there is not looked at
     * @return bytes
     * @throws RelayAttentionException as {@link #create}, without what is about memory
     */
    public static long memory(Context context, Model model, CacheOptions options) {
        try {
            return Native.cache_memory(context.handle, model.handle, options.pageSize,
                    options.capacityTokens, options.maxSequences);
        } finally {
            Reference.reachabilityFence(context);
            Reference.reachabilityFence(model);
        }
    }

    /**
     * How many pages a layer group has.
     *
     * @param group the group, see {@link Model#layerGroup(long)}
     * @return pages
     * @throws RelayAttentionException {@link ErrorCode#ARGUMENT}: no such group
     */
    public long totalPages(long group) {
        try {
            return Native.cache_pages_total(handle, group);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * How many pages of a layer group are free now. Pages of an open step count as taken. With
     * {@link Batch#pagesNeeded} this decides whether a request can be admitted.
     *
     * @param group the group
     * @return pages
     * @throws RelayAttentionException {@link ErrorCode#ARGUMENT}: no such group
     */
    public long freePages(long group) {
        try {
            return Native.cache_pages_free(handle, group);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Where the pages of a layer lie; a layer with a KV layer answers with its source's. The
     * library cannot order the caller's own reads and writes of them: synchronise the queues that
     * used these pages, and leave alone pages that no prefix or sequence of yours holds.
     *
     * @param layer the layer
     * @return addresses and strides
     * @throws RelayAttentionException {@link ErrorCode#ARGUMENT}: no such layer, or it was never
     *     set
     */
    public PageLayout layout(long layer) {
        try {
            return PageLayout.of(handle, layer);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Null for a layer that does not exist or was never set: the library refuses it. */
    LayerShape shape(long layer) {
        return layer < 0 || layer >= shapes.length ? null : shapes[(int) layer];
    }
}
