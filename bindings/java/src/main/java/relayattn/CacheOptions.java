package relayattn;

/** What {@link Cache#create(Context, Model, CacheOptions)} takes. */
public final class CacheOptions {
    final long capacityTokens;
    long pageSize;
    long maxSequences;
    Tensor memory;

    /**
     * Options with the default page size and memory of the library's own.
     *
     * @param capacityTokens tokens that a layer group without a window has room for, 1 ..
     *     2<sup>31</sup> - 1, rounded up to whole pages. A shared token counts once; the unused
     *     rest of each run's last page counts too
     */
    public CacheOptions(long capacityTokens) {
        this.capacityTokens = capacityTokens;
    }

    /**
     * Token slots of a page; 0, the default, is the device's best.
     *
     * @param value 0 .. 65536
     * @return this
     */
    public CacheOptions pageSize(long value) {
        pageSize = value;
        return this;
    }

    /**
     * How many sequences will exist at once: a promise that lets window groups be smaller than the
     * others, 2 * (ceil(kept / page size) + 2) pages for each, kept being {@code retain} or
     * {@code window} tokens. 0, the default: no promise, all groups are equally large. Not
     * enforced: more sequences just find fewer pages.
     *
     * @param value 0 or more
     * @return this
     */
    public CacheOptions maxSequences(long value) {
        maxSequences = value;
        return this;
    }

    /**
     * Device memory for the pages, at least {@link Cache#memory} bytes. The cache and what is in it
     * keep the buffer alive; memory given by address must outlive them. Not a heap array.
     *
     * @param value a direct buffer, or {@link Tensor#ofAddress(long, long)}; null, the default: the
     *     cache allocates
     * @return this
     */
    public CacheOptions memory(Tensor value) {
        memory = value;
        return this;
    }
}
