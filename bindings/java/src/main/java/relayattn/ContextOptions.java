package relayattn;

import java.util.Objects;

/** What {@link Context#create(ContextOptions)} takes. */
public final class ContextOptions {
    Backend backend = Backend.AUTO;
    int ordinal;
    long numThreads;
    long numaNode = -1;

    /** The defaults. */
    public ContextOptions() {
    }

    /**
     * Where to compute; {@link Backend#AUTO} by default.
     *
     * @param value the backend
     * @return this
     */
    public ContextOptions backend(Backend value) {
        backend = Objects.requireNonNull(value, "backend");
        return this;
    }

    /**
     * Which GPU, from 0, which is the default.
     *
     * @param value the device's number; must be 0 for the CPU
     * @return this
     */
    public ContextOptions ordinal(int value) {
        ordinal = value;
        return this;
    }

    /**
     * How many CPU threads compute, the calling one included. 0, the default: as many as the
     * process's affinity and cgroup quota allow. 1: no thread is started. Not used by CUDA.
     *
     * @param value 0 .. 1024
     * @return this
     */
    public ContextOptions numThreads(long value) {
        numThreads = value;
        return this;
    }

    /**
     * Reserved: -1, the default, is all that this version takes; memory is not bound to a node.
     *
     * @param value -1
     * @return this
     */
    public ContextOptions numaNode(long value) {
        numaNode = value;
        return this;
    }
}
