#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace serve {

// A file mapped read-only; it stays mapped for the object's life.
class MappedFile {
  public:
    explicit MappedFile(const std::string& path);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    const unsigned char* data() const { return data_; }
    size_t size() const { return size_; }

  private:
    const unsigned char* data_ = nullptr;
    size_t size_ = 0;
};

enum class StoredType { f32, f16, bf16 };

// One tensor's place in a mapped file.
struct StoredTensor {
    StoredType type;
    std::vector<int64_t> shape;
    const unsigned char* data;
    std::string file;
};

// The weights of a Hugging Face model folder: model.safetensors, or the shards that
// model.safetensors.index.json names. Every failure is a std::runtime_error that names file and
// tensor.
class WeightFiles {
  public:
    explicit WeightFiles(const std::string& folder);
    bool has(const std::string& name) const { return tensors_.count(name) != 0; }
    // The tensor as float32; its shape must be `shape` and all its values finite.
    std::vector<float> read(const std::string& name, const std::vector<int64_t>& shape) const;
    // As read(), for a tensor whose shape the caller wants to learn.
    const StoredTensor& find(const std::string& name) const;

  private:
    void add_file(const std::string& path);
    void add_index(const std::string& folder, const std::string& path);

    std::vector<std::unique_ptr<MappedFile>> files_;
    std::map<std::string, StoredTensor> tensors_;
    std::string folder_;
};

std::string shape_text(const std::vector<int64_t>& shape);

}  // namespace serve
