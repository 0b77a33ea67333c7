/* 3. The library found at run time: dlopen and one table of functions.
 *
 *   cc 03_dlopen.c $(pkg-config --cflags relayattn) -ldl -lm -o dlopen_host
 *   ./dlopen_host [path of librelayattn.so.0]
 *
 * Nothing of the library is linked, so the program starts on machines that lack it and can say so.
 * The one name it looks up is ra_get_api. */
#include <dlfcn.h>
#include <math.h>
#include <relayattn/relayattn.h>
#include <stdio.h>
#include <string.h>

enum { TOKENS = 2, HEADS = 1, DIM = 4 };

static const ra_api* load(const char* path) {
    const ra_api* (*get_api)(int64_t version) = NULL;
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "no relayattn here: %s\n", dlerror());
        return NULL;
    }
    void* symbol = dlsym(library, "ra_get_api");
    if (symbol == NULL) {
        fprintf(stderr, "%s is not relayattn: %s\n", path, dlerror());
        return NULL;
    }
    memcpy(&get_api, &symbol, sizeof get_api); /* C forbids the cast that POSIX promises */

    /* The version that this program was compiled for: every function that it knows is there. */
    const ra_api* api = get_api(RA_VERSION);
    if (api == NULL)
        fprintf(stderr, "%s does not serve version %d\n", path, RA_VERSION);
    return api;
}

static int failed(const ra_api* api, ra_status status) {
    char text[512];
    if (status == RA_OK)
        return 0;
    api->last_error(text, sizeof text);
    fprintf(stderr, "%s: %s\n", api->status_name(status), text);
    return 1;
}

int main(int argc, char** argv) {
    const ra_api* api = load(argc > 1 ? argv[1] : "librelayattn.so.0");
    if (api == NULL)
        return 1;

    ra_context_options how;
    ra_context context = NULL;
    int64_t threads = 0;
    if (failed(api, api->context_options_init(&how, sizeof how)) ||
        failed(api, api->context_create(&how, &context)) ||
        failed(api, api->context_query(context, RA_CONTEXT_INFO_NUM_THREADS, &threads)))
        return 1;
    printf("relayattn %d, %d threads\n", (int)api->version(), (int)threads);

    /* Two parts of one attention, joined by their log-sum-exp: the identity behind all the rest.
     * Token 0 weighs both parts alike; of token 1, part b saw nothing at all. */
    float a[TOKENS][DIM] = {{1, 1, 1, 1}, {5, 6, 7, 8}};
    float b[TOKENS][DIM] = {{3, 3, 3, 3}, {0, 0, 0, 0}};
    const float a_lse[TOKENS] = {0.5f, 2.0f}, b_lse[TOKENS] = {0.5f, -INFINITY};
    float out[TOKENS][DIM], out_lse[TOKENS];
    ra_merge_args merge = {sizeof merge, .a.data = a, .b.data = b, .out.data = out};
    merge.num_tokens = TOKENS;
    merge.num_heads = HEADS;
    merge.head_dim = DIM;
    merge.in_dtype = merge.out_dtype = RA_F32;
    merge.a_lse = a_lse;
    merge.b_lse = b_lse;
    merge.out_lse = out_lse;
    if (failed(api, api->merge_state(context, &merge, NULL)))
        return 1;
    for (int t = 0; t < TOKENS; ++t)
        printf("token %d: %g %g %g %g, log-sum-exp %g\n", t, (double)out[t][0], (double)out[t][1],
               (double)out[t][2], (double)out[t][3], (double)out_lse[t]);
    api->context_release(context);

    const int both = fabsf(out[0][0] - 2) < 1e-6f && fabsf(out_lse[0] - 0.5f - logf(2)) < 1e-6f;
    const int only_a = memcmp(out[1], a[1], sizeof a[1]) == 0 && out_lse[1] == a_lse[1];
    return both && only_a ? 0 : 1;
}
