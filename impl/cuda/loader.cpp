// Finds and opens the CUDA plugin. Part of the main library, which knows nothing else of CUDA.

#include <dlfcn.h>
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "impl/cuda/plugin.h"

namespace relayattn {
namespace {

constexpr const char* k_file = "librelayattn-cuda.so";

bool is_folder(const std::string& path) {
    struct stat status;
    return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// The folder of the library (or program) that this code is part of; empty when unknown.
std::string own_folder() {
    static const char anchor = 0;
    Dl_info info;
    if (dladdr(&anchor, &info) == 0 || info.dli_fname == nullptr)
        return {};
    const std::string file = info.dli_fname;
    const size_t slash = file.rfind('/');
    return slash == std::string::npos ? std::string() : file.substr(0, slash);
}

// A named path is meant: nothing else is tried then.
std::vector<std::string> candidates() {
    const char* named = std::getenv("RELAYATTN_PLUGIN_PATH");
    if (named != nullptr && *named != '\0') {
        const std::string path = named;
        return {is_folder(path) ? path + "/" + k_file : path};
    }
    std::vector<std::string> paths;
    const std::string folder = own_folder();
    if (!folder.empty())
        paths.push_back(folder + "/" + k_file);
    paths.push_back(k_file);
    return paths;
}

// Null and a reason when the file is no plugin of this build. A plugin stays loaded for good: its
// objects may outlive any context.
const cuda::Plugin* open_plugin(const std::string& path, std::string& reason) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        const char* text = dlerror();
        reason = text != nullptr ? text : path + ": cannot be opened";
        return nullptr;
    }
    void* symbol = dlsym(library, cuda::k_plugin_entry);
    if (symbol == nullptr) {
        reason = path + ": has no symbol " + cuda::k_plugin_entry;
    } else {
        const cuda::Plugin* plugin = reinterpret_cast<cuda::PluginEntry>(symbol)();
        const char* own = RELAYATTN_BUILD_ID;
        if (*own != '\0' && std::strcmp(plugin->build_id, own) == 0)
            return plugin;
        reason =
            path + ": is of build \"" + plugin->build_id + "\", this library of \"" + own + "\"";
    }
    dlclose(library);
    return nullptr;
}

}  // namespace

Result<std::unique_ptr<Backend>> create_cuda_backend(int64_t ordinal) {
    std::string reasons;
    for (const std::string& path : candidates()) {
        std::string reason;
        const cuda::Plugin* plugin = open_plugin(path, reason);
        if (plugin != nullptr)
            return plugin->create(ordinal);
        reasons += "; " + reason;
    }
    return error(Code::device, "no CUDA plugin could be loaded", reasons);
}

}  // namespace relayattn
