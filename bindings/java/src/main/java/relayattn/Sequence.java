package relayattn;

import java.lang.ref.Reference;
import java.util.Arrays;

/**
 * One request: its prefix's tokens, then its own. It grows only by the commit of a {@link Batch}.
 * While it is in an open step its length is that before the step, and calls that would change it
 * get {@link ErrorCode#BUSY}. If it is closed in an open step it goes when that is committed or
 * aborted. All methods may be called from any thread.
 */
public final class Sequence extends NativeObject {
    final Cache cache;

    private Sequence(long handle, Cache cache) {
        super(handle, Native::ra_sequence_release, cache.memory);
        this.cache = cache;
    }

    /**
     * Makes a sequence that begins with all tokens of a prefix. Takes no page before it gets tokens
     * of its own.
     *
     * @param cache the cache; kept alive
     * @param prefix what it begins with, sealed, of this cache, and kept alive; null: it is empty
     * @return the sequence, to be closed
     * @throws RelayAttentionException {@link ErrorCode#STATE}: the prefix is not sealed.
     *     {@link ErrorCode#ARGUMENT}: it belongs to another cache
     */
    public static Sequence attach(Cache cache, Prefix prefix) {
        try {
            return new Sequence(Native.ra_sequence_attach(cache.handle, handle(prefix)), cache);
        } finally {
            Reference.reachabilityFence(cache);
            Reference.reachabilityFence(prefix);
        }
    }

    /**
     * Makes a second sequence with the same tokens, for parallel sampling or beams. Nothing is
     * copied: full pages are shared for good, and a partial last page until one of the two gets a
     * new token, when the begin of that step copies it (one page more in each group, which
     * {@link Batch#pagesNeeded} counts).
     *
     * @return the second sequence, to be closed
     * @throws RelayAttentionException {@link ErrorCode#BUSY}: this is in an open step
     */
    public Sequence fork() {
        try {
            return new Sequence(Native.ra_sequence_fork(handle), cache);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * Forgets all tokens from a position on, and gives back the pages that nothing else uses. May
     * cut into the prefix: this then hangs under the tokens before the cut, and others who share
     * them notice nothing.
     *
     * @param length how many tokens to keep, 0 .. {@link #length()}
     * @throws RelayAttentionException {@link ErrorCode#BUSY}: this is in an open step.
     *     {@link ErrorCode#ARGUMENT}: {@code length} is out of bounds.
     *     {@link ErrorCode#NOT_RETAINED}: a window layer no longer has what the next token would
     *     see; every length from {@link #minLength()} on can be had
     */
    public void truncate(long length) {
        try {
            Native.ra_sequence_truncate(handle, length);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * How many tokens it has, prefix included.
     *
     * @return tokens
     */
    public long length() {
        try {
            return Native.sequence_length(handle);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * The length from which on {@link #truncate} reaches every one.
     *
     * @return tokens; 0 unless a window layer has given pages back
     */
    public long minLength() {
        try {
            return Native.sequence_length_min(handle);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /**
     * The pages of a layer group that hold its tokens, in order of position, prefixes included; for
     * transfer and accounting. Pages are not always full, since every prefix and tail begins a
     * page. A window group lists what it still has. New pages of an open step are not listed.
     *
     * @param group the group
     * @return their indexes
     * @throws RelayAttentionException {@link ErrorCode#ARGUMENT}: no such group
     */
    public int[] pages(long group) {
        try {
            int[] pages = new int[16];
            for (;;) {
                int count = Math.toIntExact(Native.ra_sequence_pages(handle, group, pages));
                if (count <= pages.length) {
                    return Arrays.copyOf(pages, count);
                }
                pages = new int[count];
            }
        } finally {
            Reference.reachabilityFence(this);
        }
    }
}
