# RELAYATTN_SANITIZE instruments every target of this build: a sanitizer that covers only a part
# reports what is not there and misses what is.

if(RELAYATTN_SANITIZE)
    if(NOT RELAYATTN_SANITIZE MATCHES
       "^(fuzzer-no-link,)?(address|undefined|address,undefined|thread)$")
        message(FATAL_ERROR "RELAYATTN_SANITIZE is \"${RELAYATTN_SANITIZE}\"; it must be "
                            "\"address,undefined\", \"address\", \"undefined\" or \"thread\", "
                            "for a libFuzzer target with \"fuzzer-no-link,\" in front.")
    endif()
    # -O1 and lines only: at -O3 the checks take several times longer to compile and find no more.
    add_compile_options(-fsanitize=${RELAYATTN_SANITIZE} -fno-sanitize-recover=all
                        -fno-omit-frame-pointer -O1 -g1)
    add_link_options(-fsanitize=${RELAYATTN_SANITIZE})
endif()
