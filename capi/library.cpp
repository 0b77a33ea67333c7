// Version, errors, and the table of handles.
#include "capi/boundary.h"

namespace relayattn::capi {
namespace {

struct LastError {
    char text[1024];
    int64_t length;
};
thread_local LastError last_error{{0}, 0};

void append(const char* text) noexcept {
    while (*text != 0 && last_error.length + 1 < static_cast<int64_t>(sizeof last_error.text))
        last_error.text[last_error.length++] = *text++;
    last_error.text[last_error.length] = 0;
}

}  // namespace

HandleTable& handles() {
    // Never destroyed: a host may release handles while the process exits.
    static auto* table = new HandleTable;
    return *table;
}

void set_last_error(const char* function, const char* text) noexcept {
    last_error.length = 0;
    append(function);
    append(": ");
    append(text);
}

ra_status status_of(Code code) noexcept {
    switch (code) {
        case Code::argument:
            return RA_ERROR_ARGUMENT;
        case Code::handle:
            return RA_ERROR_HANDLE;
        case Code::state:
            return RA_ERROR_STATE;
        case Code::busy:
            return RA_ERROR_BUSY;
        case Code::unsupported:
            return RA_ERROR_UNSUPPORTED;
        case Code::memory:
            return RA_ERROR_MEMORY;
        case Code::pages:
            return RA_ERROR_PAGES;
        case Code::not_retained:
            return RA_ERROR_NOT_RETAINED;
        case Code::device:
            return RA_ERROR_DEVICE;
        case Code::internal:
            break;
    }
    return RA_ERROR_INTERNAL;
}

}  // namespace relayattn::capi

using namespace relayattn::capi;

int64_t ra_version(void) {
    return RA_VERSION;
}

int64_t ra_last_error(char* text, int64_t size) {
    if (text != nullptr && size > 0) {
        const int64_t copied = std::min(size - 1, last_error.length);
        std::memcpy(text, last_error.text, static_cast<size_t>(copied));
        text[copied] = 0;
    }
    return last_error.length;
}

const char* ra_status_name(ra_status status) {
    switch (status) {
        case RA_OK:
            return "RA_OK";
        case RA_ERROR_ARGUMENT:
            return "RA_ERROR_ARGUMENT";
        case RA_ERROR_HANDLE:
            return "RA_ERROR_HANDLE";
        case RA_ERROR_STATE:
            return "RA_ERROR_STATE";
        case RA_ERROR_BUSY:
            return "RA_ERROR_BUSY";
        case RA_ERROR_UNSUPPORTED:
            return "RA_ERROR_UNSUPPORTED";
        case RA_ERROR_MEMORY:
            return "RA_ERROR_MEMORY";
        case RA_ERROR_PAGES:
            return "RA_ERROR_PAGES";
        case RA_ERROR_NOT_RETAINED:
            return "RA_ERROR_NOT_RETAINED";
        case RA_ERROR_DEVICE:
            return "RA_ERROR_DEVICE";
        case RA_ERROR_INTERNAL:
            return "RA_ERROR_INTERNAL";
        default:
            return "unknown ra_status";
    }
}
