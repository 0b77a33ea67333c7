/* What every consumer builds: it links, the version is that of the header, a context works. */
#include <relayattn/relayattn.h>
#include <stdio.h>

int main(void) {
    ra_context_options options;
    ra_context context = NULL;
    int64_t isa = -1;
    if (ra_version() != RA_VERSION) {
        printf("header %d, library %d\n", RA_VERSION, (int)ra_version());
        return 1;
    }
    if (ra_context_options_init(&options, sizeof options) != RA_OK ||
        ra_context_create(&options, &context) != RA_OK ||
        ra_context_query(context, RA_CONTEXT_INFO_ISA, &isa) != RA_OK)
        return 1;
    ra_context_release(context);
    printf("relayattn %d works here, instruction set %d\n", (int)ra_version(), (int)isa);
    return 0;
}
