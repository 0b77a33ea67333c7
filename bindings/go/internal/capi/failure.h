/*
 * relayattn: how a status and its text come to Go in one native call
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <relayattn/relayattn.h>
#include <stdlib.h>

/* A goroutine may go on in another thread after each native call, where ra_last_error knows nothing
 * of the failure. So whoever got the status takes the text at once, on the same thread. */
typedef struct relayattn_failure {
    ra_status status;
    int32_t allocated;
    char text[1]; /* ends with 0; longer in what relayattn_fail allocates */
} relayattn_failure;

/* Null for RA_OK; else what Go reads and gives to relayattn_forget. */
static inline const relayattn_failure* relayattn_fail(ra_status status) {
    static const relayattn_failure without_text = {RA_ERROR_MEMORY, 0, ""};
    int64_t length;
    relayattn_failure* failure;
    if (status == RA_OK)
        return NULL;
    length = ra_last_error(NULL, 0);
    failure = (relayattn_failure*)malloc(sizeof *failure + (size_t)length);
    if (failure == NULL)
        return &without_text;
    failure->status = status;
    failure->allocated = 1;
    failure->text[0] = 0;
    ra_last_error(failure->text, length + 1);
    return failure;
}

static inline void relayattn_forget(const relayattn_failure* failure) {
    if (failure->allocated)
        free((void*)failure);
}
