package relayattn;

/** Where a context computes. */
public enum Backend {
    /** CUDA if its plugin and a GPU are there, else the CPU. */
    AUTO(NativeConstants.RA_BACKEND_AUTO),
    /** The CPU. */
    CPU(NativeConstants.RA_BACKEND_CPU),
    /** A GPU; needs {@code librelayattn-cuda.so}, an NVIDIA driver and GPU. */
    CUDA(NativeConstants.RA_BACKEND_CUDA);

    final int number;

    Backend(int number) {
        this.number = number;
    }
}
