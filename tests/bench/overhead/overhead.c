/*
 * What a call costs by itself: the attend of a step without new tokens, and for comparison a step
 * that computes. Each binding has the same program; ../overhead.sh compares them with this one.
 *
 * Prints one line of JSON.
 */
#define _POSIX_C_SOURCE 200809L

#include <relayattn/relayattn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    q_heads = 32,
    kv_heads = 8,
    dim = 128,
    prefix_tokens = 2048,
    requests = 8,
    samples = 21,
    calls = 50000, /* in a sample */
    large_warmups = 5,
    large_samples = 31
};

typedef struct scene {
    ra_context context;
    ra_model model;
    ra_cache cache;
    ra_prefix prefix;
    ra_sequence sequences[requests];
    ra_batch batch;
    ra_attend_args args;
} scene;

static void ok(ra_status status) {
    char text[1024] = "";
    if (status == RA_OK)
        return;
    ra_last_error(text, sizeof text);
    fprintf(stderr, "overhead: %s: %s\n", ra_status_name(status), text);
    exit(1);
}

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static int ascending(const void* a, const void* b) {
    const double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

static double median(double* values, size_t count) {
    qsort(values, count, sizeof *values, ascending);
    return values[count / 2];
}

/* Freed by the end of the process. */
static float* numbers(int64_t count) {
    float* x = malloc((size_t)count * sizeof *x);
    if (x == NULL) {
        fprintf(stderr, "overhead: out of memory\n");
        exit(1);
    }
    for (int64_t i = 0; i < count; ++i)
        x[i] = (float)((i * 37 + 11) % 101 - 50) / 64;
    return x;
}

static void make_cache(scene* s) {
    ra_context_options device;
    ra_layer_options layer;
    ra_cache_options room;
    ok(ra_context_options_init(&device, sizeof device));
    device.backend = RA_BACKEND_CPU;
    device.num_threads = 1;
    ok(ra_context_create(&device, &s->context));
    ok(ra_layer_options_init(&layer, sizeof layer));
    layer.num_q_heads = q_heads;
    layer.num_kv_heads = kv_heads;
    layer.head_dim_k = layer.head_dim_v = dim;
    layer.q_dtype = layer.k_dtype = layer.v_dtype = layer.out_dtype = RA_F32;
    ok(ra_model_create(1, &s->model));
    ok(ra_model_set_layers(s->model, 0, 1, &layer));
    ok(ra_cache_options_init(&room, sizeof room));
    room.capacity_tokens = 8192;
    ok(ra_cache_create(s->context, s->model, &room, &s->cache));
}

static void make_requests(scene* s) {
    ra_kv kv = {.struct_size = sizeof kv, .num_tokens = prefix_tokens};
    ra_plan_options plan;
    kv.k.data = numbers((int64_t)prefix_tokens * kv_heads * dim);
    kv.v.data = numbers((int64_t)prefix_tokens * kv_heads * dim);
    ok(ra_prefix_create(s->cache, NULL, prefix_tokens, &s->prefix));
    ok(ra_prefix_write(s->prefix, 0, 0, &kv, NULL));
    ok(ra_prefix_seal(s->prefix, NULL));
    for (int i = 0; i < requests; ++i)
        ok(ra_sequence_attach(s->cache, s->prefix, &s->sequences[i]));
    ok(ra_plan_options_init(&plan, sizeof plan));
    ok(ra_batch_create(s->cache, &plan, &s->batch));
    s->args = (ra_attend_args){.struct_size = sizeof s->args};
    s->args.q.data = numbers((int64_t)requests * q_heads * dim);
    s->args.out.data = numbers((int64_t)requests * q_heads * dim);
    s->args.k.data = numbers((int64_t)requests * kv_heads * dim);
    s->args.v.data = numbers((int64_t)requests * kv_heads * dim);
}

static void begin(scene* s, int64_t q_len) {
    int64_t q_lens[requests];
    ra_batch_input step = {.struct_size = sizeof step,
                           .sequences = s->sequences,
                           .num_sequences = requests,
                           .q_lens = q_lens,
                           .num_q_lens = requests};
    for (int i = 0; i < requests; ++i)
        q_lens[i] = q_len;
    ok(ra_batch_begin(s->batch, &step, NULL));
}

static double elapsed_ns(scene* s, int64_t count) {
    const double start = now_ns();
    for (int64_t i = 0; i < count; ++i)
        ok(ra_batch_attend(s->batch, 0, &s->args, NULL));
    return now_ns() - start;
}

static double empty_ns_per_call(scene* s) {
    double per_call[samples];
    begin(s, 0);
    elapsed_ns(s, calls);
    for (int i = 0; i < samples; ++i)
        per_call[i] = elapsed_ns(s, calls) / calls;
    ok(ra_batch_abort(s->batch, NULL));
    return median(per_call, samples);
}

static double large_us(scene* s) {
    double us[large_samples];
    begin(s, 1);
    elapsed_ns(s, large_warmups);
    for (int i = 0; i < large_samples; ++i)
        us[i] = elapsed_ns(s, 1) / 1000;
    ok(ra_batch_abort(s->batch, NULL));
    return median(us, large_samples);
}

static void release(scene* s) {
    ra_batch_release(s->batch);
    for (int i = 0; i < requests; ++i)
        ra_sequence_release(s->sequences[i]);
    ra_prefix_release(s->prefix);
    ra_cache_release(s->cache);
    ra_model_release(s->model);
    ra_context_release(s->context);
}

int main(void) {
    scene s;
    make_cache(&s);
    make_requests(&s);
    const double empty = empty_ns_per_call(&s);
    const double large = large_us(&s);
    printf(
        "{\"language\": \"c\", \"empty_ns_per_call\": %.1f, \"bytes_per_call\": 0, "
        "\"large_us\": %.1f}\n",
        empty, large);
    release(&s);
    return 0;
}
