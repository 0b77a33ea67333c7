/* 1. One prefix, eight requests, each step checked against a plain loop.
 *
 *   cc 01_first_prefix.c $(pkg-config --cflags --libs relayattn) -lm -o first_prefix
 *
 * A real engine computes q, k and v from its weights; here they are random numbers. */
#include <math.h>
#include <relayattn/relayattn.h>
#include <stdio.h>
#include <stdlib.h>

enum { Q_HEADS = 8, KV_HEADS = 2, DIM = 64, PREFIX = 500, REQUESTS = 8, STEPS = 4 };

/* All tensors are [tokens][heads][dim]; request r's token of step t is own_k[t][r]. */
static float prefix_k[PREFIX][KV_HEADS][DIM], prefix_v[PREFIX][KV_HEADS][DIM];
static float own_k[STEPS][REQUESTS][KV_HEADS][DIM], own_v[STEPS][REQUESTS][KV_HEADS][DIM];
static float q[REQUESTS][Q_HEADS][DIM], out[REQUESTS][Q_HEADS][DIM];

static void check(ra_status status) {
    char text[512];
    if (status == RA_OK)
        return;
    ra_last_error(text, sizeof text);
    fprintf(stderr, "%s: %s\n", ra_status_name(status), text);
    exit(1);
}

static void fill(float* x, size_t n) {
    for (size_t i = 0; i < n; ++i)
        x[i] = (float)rand() / (float)RAND_MAX * 2 - 1;
}

/* What attention means: softmax(q . k / sqrt(dim)) over the prefix, then the request's own tokens.
 */
static double worst_difference(int r, int h, int num_own) {
    static double weight[PREFIX + STEPS];
    const int kv = h / (Q_HEADS / KV_HEADS), n = PREFIX + num_own;
    double sum = 0, worst = 0;
    for (int p = 0; p < n; ++p) {
        const float* k = p < PREFIX ? prefix_k[p][kv] : own_k[p - PREFIX][r][kv];
        double score = 0;
        for (int d = 0; d < DIM; ++d)
            score += (double)q[r][h][d] * k[d];
        weight[p] = exp(score / sqrt(DIM));
        sum += weight[p];
    }
    for (int d = 0; d < DIM; ++d) {
        double expected = 0;
        for (int p = 0; p < n; ++p)
            expected +=
                weight[p] / sum * (p < PREFIX ? prefix_v[p][kv][d] : own_v[p - PREFIX][r][kv][d]);
        worst = fmax(worst, fabs(expected - out[r][h][d]));
    }
    return worst;
}

int main(void) {
    fill(prefix_k[0][0], sizeof prefix_k / sizeof(float));
    fill(prefix_v[0][0], sizeof prefix_v / sizeof(float));
    fill(own_k[0][0][0], sizeof own_k / sizeof(float));
    fill(own_v[0][0][0], sizeof own_v / sizeof(float));

    ra_context_options how;
    check(ra_context_options_init(&how, sizeof how));
    ra_context context;
    check(ra_context_create(&how, &context));

    ra_layer_options layer;
    check(ra_layer_options_init(&layer, sizeof layer));
    layer.num_q_heads = Q_HEADS;
    layer.num_kv_heads = KV_HEADS;
    layer.head_dim_k = layer.head_dim_v = DIM;
    layer.q_dtype = layer.k_dtype = layer.v_dtype = layer.out_dtype = RA_F32;
    ra_model model;
    check(ra_model_create(1, &model));
    check(ra_model_set_layers(model, 0, 1, &layer));

    ra_cache_options room;
    check(ra_cache_options_init(&room, sizeof room));
    room.capacity_tokens = 4096;
    ra_cache cache;
    check(ra_cache_create(context, model, &room, &cache));

    /* The prefix: written once, sealed, then shared by every request that attaches to it. */
    ra_prefix prefix;
    check(ra_prefix_create(cache, NULL, PREFIX, &prefix));
    ra_kv kv = {sizeof kv, .k.data = prefix_k, .v.data = prefix_v, .num_tokens = PREFIX};
    check(ra_prefix_write(prefix, 0, 0, &kv, NULL));
    check(ra_prefix_seal(prefix, NULL));

    ra_sequence requests[REQUESTS];
    int64_t q_lens[REQUESTS];
    for (int r = 0; r < REQUESTS; ++r) {
        check(ra_sequence_attach(cache, prefix, &requests[r]));
        q_lens[r] = 1; /* one new token a step: decode */
    }
    ra_plan_options plan;
    check(ra_plan_options_init(&plan, sizeof plan));
    ra_batch batch;
    check(ra_batch_create(cache, &plan, &batch));
    ra_batch_input input = {.struct_size = sizeof input, .sequences = requests, .q_lens = q_lens};
    input.num_sequences = input.num_q_lens = REQUESTS;

    double worst = 0;
    for (int t = 0; t < STEPS; ++t) {
        fill(q[0][0], sizeof q / sizeof(float));
        ra_attend_args args = {sizeof args, .q.data = q, .out.data = out};
        args.k.data = own_k[t];
        args.v.data = own_v[t];
        check(ra_batch_begin(batch, &input, NULL));
        check(ra_batch_attend(batch, 0, &args, NULL)); /* once per layer */
        check(ra_batch_commit(batch, NULL, 0, NULL, 0, NULL));
        for (int r = 0; r < REQUESTS; ++r)
            for (int h = 0; h < Q_HEADS; ++h)
                worst = fmax(worst, worst_difference(r, h, t + 1));
    }
    printf("%d requests share %d tokens; largest difference from the plain loop: %.1e\n", REQUESTS,
           PREFIX, worst);
    return worst < 1e-5 ? 0 : 1; /* the process ends here, so nothing is released; 02 shows that */
}
