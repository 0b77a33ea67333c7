package relayattn;

import java.lang.ref.Reference;
import java.util.Objects;

/**
 * One device: a CPU with a number of threads, or one GPU. Most programs have one. Everything made
 * with it keeps it alive. Calls that compute on the same CPU context take turns on its threads; two
 * contexts compute side by side. All methods may be called from any thread.
 */
public final class Context extends NativeObject {
    private static final Isa[] ISAS = Isa.values();

    /** Whether the device reads ordinary memory; fixed at creation. */
    final boolean onHost;

    private Context(long handle) {
        super(handle, Native::ra_context_release, null);
        onHost = query(NativeConstants.RA_CONTEXT_INFO_BACKEND) != NativeConstants.RA_BACKEND_CUDA;
    }

    /**
     * Makes a context. May start threads or open a device: for set-up, not for every step.
     *
     * @param options what to make; read now
     * @return the context, to be closed
     * @throws RelayAttentionException {@link ErrorCode#ARGUMENT}: an option is out of bounds,
     *     or an environment variable of the library. {@link ErrorCode#UNSUPPORTED}: a NUMA node is
     *     asked for, or the machine lacks what {@code RELAYATTN_ISA} names. {@link
     *     ErrorCode#DEVICE}: the ordinal is not 0 for the CPU, threads could not be started, or no
     *     such GPU, driver or plugin; the message has every place tried. {@link Backend#AUTO} takes
     *     the CPU instead
     */
    public static Context create(ContextOptions options) {
        return new Context(Native.context_create(options.backend.number, options.ordinal,
                options.numThreads, options.numaNode));
    }

    /**
     * The version of the library that is loaded.
     *
     * @return 10000 * major + 100 * minor + patch
     */
    public static long libraryVersion() {
        return Native.ra_version();
    }

    /**
     * What {@link Backend#AUTO} became.
     *
     * @return {@link Backend#CPU} or {@link Backend#CUDA}
     */
    public Backend backend() {
        return query(NativeConstants.RA_CONTEXT_INFO_BACKEND) == NativeConstants.RA_BACKEND_CUDA
                ? Backend.CUDA : Backend.CPU;
    }

    /**
     * The device's number.
     *
     * @return 0 for the CPU
     */
    public int ordinal() {
        return (int) query(NativeConstants.RA_CONTEXT_INFO_ORDINAL);
    }

    /**
     * How many threads compute, the calling one included.
     *
     * @return 0 for CUDA
     */
    public long numThreads() {
        return query(NativeConstants.RA_CONTEXT_INFO_NUM_THREADS);
    }

    /**
     * The kernels in use.
     *
     * @return the instruction set
     */
    public Isa isa() {
        return ISAS[(int) query(NativeConstants.RA_CONTEXT_INFO_ISA)];
    }

    /**
     * The GPU's compute capability.
     *
     * @return 90 for 9.0; 0 for the CPU
     */
    public int computeCapability() {
        return (int) query(NativeConstants.RA_CONTEXT_INFO_SM);
    }

    /**
     * The best page size: what 0 stands for in {@link CacheOptions#pageSize}.
     *
     * @return tokens
     */
    public long pageSize() {
        return query(NativeConstants.RA_CONTEXT_INFO_PAGE_SIZE);
    }

    /**
     * Whether {@link PlanOptions#graph} can be had.
     *
     * @return true on CUDA
     */
    public boolean graphs() {
        return query(NativeConstants.RA_CONTEXT_INFO_GRAPHS) != 0;
    }

    /**
     * Checks that this device can serve every layer of a model. Builds nothing.
     *
     * @param model the model
     * @param pageSize tokens of a page, 0 .. 65536; 0: the device's best
     * @param plan the options of batches; only its flags matter
     * @throws RelayAttentionException {@link ErrorCode#UNSUPPORTED}: it cannot; the message names
     *     the layer and the reason. {@link ErrorCode#STATE}: no layer is set.
     *     {@link ErrorCode#ARGUMENT}: {@code pageSize} is out of bounds
     */
    public void requireSupport(Model model, long pageSize, PlanOptions plan) {
        try {
            Native.ra_context_supports(handle, model.handle, pageSize, plan.flags);
        } finally {
            Reference.reachabilityFence(this);
            Reference.reachabilityFence(model);
        }
    }

    /**
     * As {@link #merge(MergeArgs, long)}, on the default queue.
     *
     * @param args the two parts and where the result goes
     * @throws RelayAttentionException as there
     */
    public void merge(MergeArgs args) {
        merge(args, 0);
    }

    /**
     * Joins two parts of one attention over keys that do not overlap, for engines that compute
     * parts themselves: out = (e^la * a + e^lb * b) / (e^la + e^lb), and the logarithm of that sum.
     * Complete on return on a CPU context; else ordered on the queue. Merge more parts one after
     * the other.
     *
     * @param args the two parts and where the result goes
     * @param queue where to order the work; 0 on the CPU
     * @throws RelayAttentionException {@link ErrorCode#ARGUMENT}: a size, stride, alignment or
     *     queue is out of bounds, a tensor is missing or too small. {@link ErrorCode#UNSUPPORTED}:
     *     a reserved dtype
     */
    public void merge(MergeArgs args, long queue) {
        Merge.run(this, args, queue);
    }

    private long query(int property) {
        try {
            return Native.ra_context_query(handle, property);
        } finally {
            Reference.reachabilityFence(this);
        }
    }
}
