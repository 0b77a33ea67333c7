/* 2. A tree of prefixes: children, fork, truncate.
 *
 *   cc 02_tree.c $(pkg-config --cflags --libs relayattn) -lm -o tree
 *
 * Here a token's q, k and v depend on the token alone, as if a model had one layer. Then sequences
 * that hold the same tokens must give the same answer, by whatever road they came to hold them. */
#include <math.h>
#include <relayattn/relayattn.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEADS = 4, DIM = 32, WIDTH = HEADS * DIM, ROOT = 300, CHILD = 40 };

static void check(ra_status status) {
    char text[512];
    if (status == RA_OK)
        return;
    ra_last_error(text, sizeof text);
    fprintf(stderr, "%s: %s\n", ra_status_name(status), text);
    exit(1);
}

static void embed(int token, int kind, float* x) { /* kind: 0 = q, 1 = k, 2 = v */
    for (int i = 0; i < WIDTH; ++i)
        x[i] = (float)sin(1.0 + token * 12.9898 + kind * 78.233 + i * 37.719 * (1 + token % 7));
}

static ra_prefix make_prefix(ra_cache cache, ra_prefix parent, int first_token, int count) {
    static float k[ROOT * WIDTH], v[ROOT * WIDTH];
    ra_prefix prefix;
    check(ra_prefix_create(cache, parent, count, &prefix));
    for (int i = 0; i < count; ++i) {
        embed(first_token + i, 1, k + i * WIDTH);
        embed(first_token + i, 2, v + i * WIDTH);
    }
    ra_kv kv = {sizeof kv, .k.data = k, .v.data = v, .num_tokens = count};
    check(ra_prefix_write(prefix, 0, 0, &kv, NULL));
    check(ra_prefix_seal(prefix, NULL));
    return prefix;
}

/* One step: sequence i gets tokens[i] and answers in out[i]. */
static void step(ra_batch batch, const ra_sequence* sequences, int n, const int* tokens,
                 float out[][WIDTH]) {
    static float q[4][WIDTH], k[4][WIDTH], v[4][WIDTH];
    const int64_t ones[4] = {1, 1, 1, 1};
    ra_batch_input input = {.struct_size = sizeof input, .sequences = sequences, .q_lens = ones};
    input.num_sequences = input.num_q_lens = n;
    for (int i = 0; i < n; ++i) {
        embed(tokens[i], 0, q[i]);
        embed(tokens[i], 1, k[i]);
        embed(tokens[i], 2, v[i]);
    }
    ra_attend_args args = {sizeof args, .q.data = q, .k.data = k, .v.data = v, .out.data = out};
    check(ra_batch_begin(batch, &input, NULL));
    check(ra_batch_attend(batch, 0, &args, NULL));
    check(ra_batch_commit(batch, NULL, 0, NULL, 0, NULL));
}

static double difference(const float* a, const float* b) {
    double worst = 0;
    for (int i = 0; i < WIDTH; ++i)
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    return worst;
}

int main(void) {
    ra_context_options how;
    ra_layer_options layer;
    ra_cache_options room;
    ra_plan_options plan;
    ra_context context;
    ra_model model;
    ra_cache cache;
    ra_batch batch;
    check(ra_context_options_init(&how, sizeof how));
    check(ra_layer_options_init(&layer, sizeof layer));
    check(ra_cache_options_init(&room, sizeof room));
    check(ra_plan_options_init(&plan, sizeof plan));
    layer.num_q_heads = layer.num_kv_heads = HEADS;
    layer.head_dim_k = layer.head_dim_v = DIM;
    layer.q_dtype = layer.k_dtype = layer.v_dtype = layer.out_dtype = RA_F32;
    room.capacity_tokens = 2048;
    check(ra_context_create(&how, &context));
    check(ra_model_create(1, &model));
    check(ra_model_set_layers(model, 0, 1, &layer));
    check(ra_cache_create(context, model, &room, &cache));
    check(ra_batch_create(cache, &plan, &batch));

    /* The system prompt is the root; each kind of request has instructions of its own below it. */
    ra_prefix root = make_prefix(cache, NULL, 0, ROOT);
    ra_prefix summarise = make_prefix(cache, root, 1000, CHILD);
    ra_prefix translate = make_prefix(cache, root, 2000, CHILD);
    ra_sequence s[3];
    float a[3][WIDTH], b[3][WIDTH], again[1][WIDTH];
    check(ra_sequence_attach(cache, summarise, &s[0]));
    check(ra_sequence_attach(cache, translate, &s[1]));
    step(batch, s, 2, (const int[]){7, 7}, a); /* one batch, two branches: the root is read once */
    printf("same token under two branches differs by  %.1e\n", difference(a[0], a[1]));

    check(ra_sequence_fork(s[0], &s[2])); /* s[2] holds the same tokens and shares their pages */
    step(batch, s, 3, (const int[]){8, 8, 8}, b);
    printf("a fork and its origin differ by           %.1e\n", difference(b[0], b[2]));

    int64_t length, shortest;
    check(ra_sequence_length(s[2], &length, &shortest));
    check(ra_sequence_truncate(s[2], length - 2)); /* to the branch; then its first token again */
    step(batch, &s[2], 1, (const int[]){7}, again);
    printf("after truncate, the first step again: by  %.1e\n", difference(a[0], again[0]));

    ra_context_release(context); /* in any order: objects keep what they need alive */
    ra_prefix_release(root);
    ra_sequence_release(s[2]);
    const int branches_differ = difference(a[0], a[1]) > 1e-3;
    const int fork_agrees = difference(b[0], b[2]) < 1e-5;
    const int truncate_agrees = difference(a[0], again[0]) < 1e-5;
    return branches_differ && fork_agrees && truncate_agrees ? 0 : 1;
}
