package relayattn;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.function.LongConsumer;

/**
 * A handle and its release. The library looks handles up and never uses their bits again, so a
 * closed object's handle can still be passed to it: it answers HANDLE. That makes close safe during
 * any call. What callers must add is a reachability fence after each call, so that no cleaner
 * closes an object that a call still uses.
 */
abstract class NativeObject implements AutoCloseable {
    private static final Cleaner CLEANER = Cleaner.create();

    final long handle;
    private final Cleaner.Cleanable cleanable;

    /**
     * Owns a new handle.
     *
     * @param handle what the library gave
     * @param release gives it up
     * @param kept memory that must outlive the handle, or null
     */
    NativeObject(long handle, LongConsumer release, Object kept) {
        this.handle = handle;
        Release action = new Release(handle, release, kept);
        try {
            cleanable = CLEANER.register(this, action);
        } catch (Throwable e) {
            action.run();
            throw e;
        }
    }

    /** Of an argument that may be null. */
    static long handle(NativeObject object) {
        return object == null ? 0 : object.handle;
    }

    /**
     * Gives the native object up. Never fails; does nothing if it is closed already. May be called
     * from any thread, during any other call. What other objects still need of it lives on.
     */
    @Override
    public final void close() {
        cleanable.clean();
    }

    private static final class Release implements Runnable {
        private final long handle;
        private final LongConsumer release;
        private final Object kept;

        Release(long handle, LongConsumer release, Object kept) {
            this.handle = handle;
            this.release = release;
            this.kept = kept;
        }

        @Override
        public void run() {
            release.accept(handle);
            Reference.reachabilityFence(kept);
        }
    }
}
