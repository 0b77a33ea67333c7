package relayattn;

/** What {@link Batch#query(long, PlanInfo)} tells of the plan of one layer group. */
public enum PlanInfo {
    /** Kernel launches of one attend; 1 for the CPU. */
    LAUNCHES(NativeConstants.RA_PLAN_INFO_LAUNCHES),
    /** Work items, each computed for every KV head. */
    ITEMS(NativeConstants.RA_PLAN_INFO_ITEMS),
    /** Stretches of tokens in the step's tree, tails included. */
    RUNS(NativeConstants.RA_PLAN_INFO_RUNS),
    /** Of these, how many are read once for all below them. */
    RELAY_RUNS(NativeConstants.RA_PLAN_INFO_RELAY_RUNS),
    /** Float32 parts of output rows that get merged. */
    PARTIALS(NativeConstants.RA_PLAN_INFO_PARTIALS),
    /** Bytes of K and V that one attend reads: a relayed run once, a flat one per sequence. */
    KV_BYTES(NativeConstants.RA_PLAN_INFO_KV_BYTES),
    /** The cost model's estimate for one attend, in nanoseconds. */
    PREDICTED_NS(NativeConstants.RA_PLAN_INFO_PREDICTED_NS);

    final int number;

    PlanInfo(int number) {
        this.number = number;
    }
}
