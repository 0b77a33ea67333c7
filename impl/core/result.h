// Results of fallible operations inside the library. Only capi knows the C status codes.
#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <utility>
#include <variant>

namespace relayattn {

enum class Code {
    argument,
    handle,
    state,
    busy,
    unsupported,
    memory,
    pages,
    not_retained,
    device,
    internal,
};

struct Error {
    Code code;
    std::string text;
};

// Joins its arguments into one error text: error(Code::argument, "layer is ", layer, "; ...").
template <class... Parts>
Error error(Code code, const Parts&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    return {code, std::move(text).str()};
}

template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return state_.index() == 0; }
    T& operator*() { return *std::get_if<0>(&state_); }
    const T& operator*() const { return *std::get_if<0>(&state_); }
    T* operator->() { return std::get_if<0>(&state_); }
    const T* operator->() const { return std::get_if<0>(&state_); }
    Error& error() { return *std::get_if<1>(&state_); }
    const Error& error() const { return *std::get_if<1>(&state_); }

  private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)), failed_(true) {}

    explicit operator bool() const { return !failed_; }
    Error& error() { return error_; }
    const Error& error() const { return error_; }

  private:
    Error error_{Code::internal, {}};
    bool failed_ = false;
};

}  // namespace relayattn
