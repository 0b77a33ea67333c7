package relayattn;

/** The instruction set of a context's kernels. */
public enum Isa {
    /** Portable C++; also what every CUDA context answers. */
    SCALAR(NativeConstants.RA_ISA_SCALAR),
    /** AVX2 with FMA and F16C. */
    AVX2(NativeConstants.RA_ISA_AVX2),
    /** AVX-512 F, BW, VL and DQ. */
    AVX512(NativeConstants.RA_ISA_AVX512),
    /** For later versions. */
    AVX512_BF16(NativeConstants.RA_ISA_AVX512_BF16),
    /** For later versions. */
    AMX(NativeConstants.RA_ISA_AMX),
    /** For later versions. */
    NEON(NativeConstants.RA_ISA_NEON);

    final int number;

    Isa(int number) {
        this.number = number;
    }
}
