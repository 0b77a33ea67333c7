// Carries out operations of scenario.json by the C API.
#pragma once

#include <relayattn/relayattn.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace relayattn::test {

class Replay {
  public:
    // "", or how the call's answer differs from the one that the operation states.
    std::string carry_out(const nlohmann::json& operation);

  private:
    using Operation = const nlohmann::json&;
    struct Object {
        void* handle;
        char kind;  // the first letter of its type's name, but k for a cache
    };

    // What an operation came to: its status, and a sentence where an answer is not as stated.
    struct Outcome {
        ra_status status;
        std::string difference;
    };

    Outcome set_up(const std::string& name, Operation o);
    Outcome prefix(const std::string& name, Operation o);
    Outcome sequence(const std::string& name, Operation o);
    Outcome batch(const std::string& name, Operation o);

    ra_status set_layers(Operation o);
    ra_status create_context(Operation o);
    ra_status create_cache(Operation o);
    ra_status create_batch(Operation o);
    Outcome merge(Operation o);
    Outcome write_or_read(Operation o, bool reads);
    Outcome begin(Operation o, bool asks_pages);
    Outcome attend(Operation o);
    ra_status commit(Operation o);
    ra_status release(Operation o);

    template <class Handle>
    Handle get(Operation o, const char* field) const;
    template <class Handle>
    ra_status keep(Operation o, char kind, ra_status status, Handle handle);

    std::map<std::string, Object> objects_;
    std::map<std::string, std::vector<uint8_t>> masks_;  // of the batches' steps
};

}  // namespace relayattn::test
