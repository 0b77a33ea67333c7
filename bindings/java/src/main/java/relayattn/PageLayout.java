package relayattn;

/**
 * Where and how the pages of a layer lie, from {@link Cache#layout(long)}; for registering them
 * with a transfer engine or moving whole pages. The memory is the cache's and stays at its place
 * while the cache or anything in it lives. Strides are in bytes.
 *
 * @param pageSize token slots of a page
 * @param numPages pages of this layer's group
 * @param packed true for CPU caches: the device's own order holds inside a page, and token and head
 *     strides are 0. False for CUDA caches
 * @param kPageStride from page n to page n + 1 of K
 * @param kTokenStride from a slot of K to the next
 * @param kHeadStride from a head of K to the next; a head's elements are dense
 * @param vPageStride as for K
 * @param vTokenStride as for K
 * @param vHeadStride as for K
 * @param kPages address of page 0 of K, in device memory
 * @param vPages address of page 0 of V, in device memory
 */
public record PageLayout(long pageSize, long numPages, boolean packed, long kPageStride,
        long kTokenStride, long kHeadStride, long vPageStride, long vTokenStride, long vHeadStride,
        long kPages, long vPages) {
    static PageLayout of(long cache, long layer) {
        long[] f = new long[11];
        Native.cache_layer(cache, layer, f);
        return new PageLayout(f[0], f[1], f[2] != 0, f[3], f[4], f[5], f[6], f[7], f[8], f[9],
                f[10]);
    }
}
