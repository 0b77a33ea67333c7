package relayattn;

/** How a batch treats runs of tokens that several of its sequences share. */
public enum PlanMode {
    /** The cost model chooses for each run: the right one unless you compare. */
    AUTO(NativeConstants.RA_MODE_AUTO),
    /** Read a shared run once for each sequence. */
    FLAT(NativeConstants.RA_MODE_FLAT),
    /** Read a shared run once for all of them. */
    RELAY(NativeConstants.RA_MODE_RELAY);

    final int number;

    PlanMode(int number) {
        this.number = number;
    }
}
