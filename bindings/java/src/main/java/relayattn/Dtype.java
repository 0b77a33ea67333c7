package relayattn;

/**
 * Element types. q, K with V, and out may each be any of the first three; the others are reserved,
 * and answered with {@link ErrorCode#UNSUPPORTED} by this version.
 */
public enum Dtype {
    /** IEEE binary32: {@code float}. */
    F32(NativeConstants.RA_F32, 4),
    /** IEEE binary16, as the bits in a {@code short}. */
    F16(NativeConstants.RA_F16, 2),
    /** The upper half of a binary32, as the bits in a {@code short}. */
    BF16(NativeConstants.RA_BF16, 2),
    /** Reserved. */
    F8E4M3(NativeConstants.RA_F8E4M3, 1),
    /** Reserved. */
    F8E5M2(NativeConstants.RA_F8E5M2, 1),
    /** Reserved. */
    I8(NativeConstants.RA_I8, 1),
    /** Reserved. */
    Q8_0(NativeConstants.RA_Q8_0, 1),
    /** Reserved. */
    I4(NativeConstants.RA_I4, 1),
    /** Reserved. */
    F4E2M1(NativeConstants.RA_F4E2M1, 1);

    final int number;
    /** Bytes of an element; of no meaning for reserved ones, which no call gets as far as using. */
    final int size;

    Dtype(int number, int size) {
        this.number = number;
        this.size = size;
    }
}
