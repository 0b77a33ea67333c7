/*
 * relayattn: the C API as SWIG reads it, for every language
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is here holds for all languages; each one's typemaps are in its own file. swig.sh runs SWIG.
 * For -xml, which Rust is generated from, nothing is left out: it is a description of the header.
 */
%module relayattn

/* int64_t is a long on the 64-bit systems that the library runs on. Without this SWIG takes it for
 * long long, and its C code then converts between unlike pointers. A language that maps a long to
 * 32 bits also needs %apply long long { int64_t }, in its own file: a count must survive. */
#define SWIGWORDSIZE64
%include <stdint.i>

%{
#include <limits.h>
#include <relayattn/relayattn.h>
#if LONG_MAX < INT64_MAX
#error "SWIG was told that long has 64 bits, and here it has not"
#endif
%}

/* No language takes C's function pointers; the text of an error has to be fetched in the same native
 * call as the status, because that of the next call may run on another thread. */
#if defined(SWIGGO) || defined(SWIGJAVA)
%ignore ra_last_error;
%ignore ra_context_set_log;
%ignore ra_log_fn;
%ignore ra_get_api;
%ignore ra_api;
#endif

#if defined(SWIGGO)
%include "go.i"
#elif defined(SWIGJAVA)
%include "java.i"
#endif

%include <relayattn/relayattn.h>
