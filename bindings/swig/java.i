/*
 * relayattn: what SWIG is told for Java
 * SPDX-License-Identifier: Apache-2.0
 *
 * The output are package-private classes: static functions under the C names, for the hand-written
 * classes of bindings/java. There, a status that is not RA_OK arrives as an exception with its text
 * (throw_status), and what a call gives out is its result. Handles, queues and every address are a
 * long. Structs stay in C, where this file fills them from arguments: Java has no memory to free,
 * and a call makes no garbage.
 */

%pragma(java) moduleclassmodifiers="final class"
%pragma(java) jniclassclassmodifiers="final class"
%pragma(java) jniclasscode=%{
    static {
        NativeLibrary.load();
    }
%}

%javaconst(1);

/* With SWIGWORDSIZE64 an int64_t is a long, which SWIG would make an int of Java. */
%apply long long { int64_t };

%header %{
#include <stdint.h>

static jclass relayattn_exception;
static jmethodID relayattn_exception_init;

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* vm, void* reserved) {
    JNIEnv* env = NULL;
    jclass found = NULL;
    (void)reserved;
    if ((*vm)->GetEnv(vm, (void**)&env, JNI_VERSION_10) != JNI_OK)
        return JNI_ERR;
    found = (*env)->FindClass(env, "relayattn/RelayAttentionException");
    if (found == NULL)
        return JNI_ERR;
    relayattn_exception = (*env)->NewGlobalRef(env, found);
    relayattn_exception_init = (*env)->GetMethodID(env, found, "<init>", "(I[B)V");
    if (relayattn_exception == NULL || relayattn_exception_init == NULL)
        return JNI_ERR;
    return JNI_VERSION_10;
}

JNIEXPORT void JNICALL JNI_OnUnload(JavaVM* vm, void* reserved) {
    JNIEnv* env = NULL;
    (void)reserved;
    if ((*vm)->GetEnv(vm, (void**)&env, JNI_VERSION_10) == JNI_OK)
        (*env)->DeleteGlobalRef(env, relayattn_exception);
}

/* The text is UTF-8, which NewStringUTF does not take; so Java decodes the bytes. */
static void throw_status(JNIEnv* env, ra_status status) {
    char text[1024];
    jobject thrown = NULL;
    int64_t length = ra_last_error(text, sizeof text);
    jsize size = (jsize)(length < (int64_t)sizeof text ? length : (int64_t)sizeof text - 1);
    jbyteArray bytes = (*env)->NewByteArray(env, size);
    if (bytes == NULL) /* an OutOfMemoryError is on its way instead */
        return;
    (*env)->SetByteArrayRegion(env, bytes, 0, size, (const jbyte*)text);
    thrown = (*env)->NewObject(env, relayattn_exception, relayattn_exception_init, (jint)status,
                               bytes);
    if (thrown != NULL)
        (*env)->Throw(env, (jthrowable)thrown);
}
%}

/* A status: what the last argument gave out, or 0. */
%typemap(jni) ra_status "jlong"
%typemap(jtype) ra_status "long"
%typemap(jstype) ra_status "long"
%typemap(javaout) ra_status { return $jnicall; }
%typemap(out) ra_status %{
    $result = 0;
    if ($1 != RA_OK)
        throw_status(jenv, $1);
%}

/* Handles and addresses are a long. */
%typemap(jni) void *ADDRESS "jlong"
%typemap(jtype) void *ADDRESS "long"
%typemap(jstype) void *ADDRESS "long"
%typemap(javain) void *ADDRESS "$javainput"
%typemap(in) void *ADDRESS %{ $1 = ($1_ltype)(intptr_t)$input; %}
%apply void *ADDRESS { void *, const void *, const uint8_t *, const int64_t *, const ra_sequence * }
%apply void *ADDRESS { ra_context, ra_model, ra_cache, ra_prefix, ra_sequence, ra_batch }

%typemap(in, numinputs=0) ra_context *out ($*1_ltype given = NULL) %{ $1 = &given; %}
%typemap(argout) ra_context *out %{ $result = (jlong)(intptr_t)given$argnum; %}
%apply ra_context *out { ra_model *out, ra_cache *out, ra_prefix *out, ra_prefix *head_out,
                         ra_sequence *out, ra_batch *out }

%typemap(in, numinputs=0) int64_t *value_out (int64_t told = 0) %{ $1 = &told; %}
%typemap(argout) int64_t *value_out %{ $result = (jlong)told$argnum; %}
%apply int64_t *value_out { int64_t *group_out, int64_t *bytes_out, int64_t *pages_out,
                            int64_t *num_out }

/* Heap arrays, copied for the call; null is an empty array. */
%typemap(jni) (const int64_t *kept, int64_t num_kept) "jlongArray"
%typemap(jtype) (const int64_t *kept, int64_t num_kept) "long[]"
%typemap(jstype) (const int64_t *kept, int64_t num_kept) "long[]"
%typemap(javain) (const int64_t *kept, int64_t num_kept) "$javainput"
%typemap(in) (const int64_t *kept, int64_t num_kept) (jlong* elements = NULL) %{
    $2 = 0;
    if ($input != NULL) {
        elements = (*jenv)->GetLongArrayElements(jenv, $input, NULL);
        if (elements == NULL)
            return $null;
        $2 = (*jenv)->GetArrayLength(jenv, $input);
    }
    $1 = (int64_t*)elements;
%}
%typemap(freearg) (const int64_t *kept, int64_t num_kept) %{
    if (elements$argnum != NULL)
        (*jenv)->ReleaseLongArrayElements(jenv, $input, elements$argnum, JNI_ABORT);
%}
%apply (const int64_t *kept, int64_t num_kept) { (const int64_t *index, int64_t num_index) }

%typemap(jni) (int32_t *pages, int64_t max_pages) "jintArray"
%typemap(jtype) (int32_t *pages, int64_t max_pages) "int[]"
%typemap(jstype) (int32_t *pages, int64_t max_pages) "int[]"
%typemap(javain) (int32_t *pages, int64_t max_pages) "$javainput"
%typemap(in) (int32_t *pages, int64_t max_pages) (jint* elements = NULL) %{
    $2 = 0;
    if ($input != NULL) {
        elements = (*jenv)->GetIntArrayElements(jenv, $input, NULL);
        if (elements == NULL)
            return $null;
        $2 = (*jenv)->GetArrayLength(jenv, $input);
    }
    $1 = (int32_t*)elements;
%}
%typemap(freearg) (int32_t *pages, int64_t max_pages) %{
    if (elements$argnum != NULL)
        (*jenv)->ReleaseIntArrayElements(jenv, $input, elements$argnum, 0);
%}

%typemap(jni) (int64_t *values, int64_t num_values) "jlongArray"
%typemap(jtype) (int64_t *values, int64_t num_values) "long[]"
%typemap(jstype) (int64_t *values, int64_t num_values) "long[]"
%typemap(javain) (int64_t *values, int64_t num_values) "$javainput"
%typemap(in) (int64_t *values, int64_t num_values) (jlong* elements = NULL) %{
    elements = (*jenv)->GetLongArrayElements(jenv, $input, NULL);
    if (elements == NULL)
        return $null;
    $1 = (int64_t*)elements;
    $2 = (*jenv)->GetArrayLength(jenv, $input);
%}
%typemap(freearg) (int64_t *values, int64_t num_values) %{
    (*jenv)->ReleaseLongArrayElements(jenv, $input, elements$argnum, 0);
%}

/* Where a direct buffer begins; null for any other buffer. */
%typemap(jni) void *direct_buffer "jobject"
%typemap(jtype) void *direct_buffer "java.nio.Buffer"
%typemap(jstype) void *direct_buffer "java.nio.Buffer"
%typemap(javain) void *direct_buffer "$javainput"
%typemap(in) void *direct_buffer %{ $1 = (*jenv)->GetDirectBufferAddress(jenv, $input); %}

/* Structs have no classes; an enum of Java has the names of statuses. */
%rename("$ignore", %$isclass) "";
%ignore ra_status_name;

/* Functions with struct arguments or two results, written again below; */
%ignore ra_context_options_init;
%ignore ra_context_create;
%ignore ra_layer_options_init;
%ignore ra_model_set_layers;
%ignore ra_plan_options_init;
%ignore ra_merge_state;
%ignore ra_cache_options_init;
%ignore ra_cache_memory;
%ignore ra_cache_create;
%ignore ra_cache_pages;
%ignore ra_cache_layer;
%ignore ra_prefix_write;
%ignore ra_prefix_read;
%ignore ra_prefix_length;
%ignore ra_sequence_length;
%ignore ra_batch_memory;
%ignore ra_batch_create;
%ignore ra_batch_pages_needed;
%ignore ra_batch_begin;
%ignore ra_batch_attend;
%ignore ra_batch_attend_worker;
/* and those that no version answers yet. */
%ignore ra_prefix_save;
%ignore ra_prefix_load;
%ignore ra_sequence_erase;
%ignore ra_batch_commit_device;

%include "java_calls.i"
