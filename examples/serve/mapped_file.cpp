#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "safetensors.h"

namespace serve {
namespace {

std::runtime_error file_error(const std::string& path, const std::string& what) {
    return std::runtime_error("cannot " + what + " " + path + ": " + std::strerror(errno));
}

size_t file_size(int descriptor, const std::string& path) {
    struct stat info{};
    if (fstat(descriptor, &info) != 0)
        throw file_error(path, "examine");
    return static_cast<size_t>(info.st_size);
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        throw file_error(path, "open");
    try {
        size_ = file_size(descriptor, path);
        if (size_ > 0) {
            void* mapped = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
            if (mapped == MAP_FAILED)
                throw file_error(path, "map");
            data_ = static_cast<const unsigned char*>(mapped);
        }
    } catch (...) {
        close(descriptor);
        throw;
    }
    close(descriptor);
}

MappedFile::~MappedFile() {
    if (data_ != nullptr)
        munmap(const_cast<unsigned char*>(data_), size_);
}

}  // namespace serve
