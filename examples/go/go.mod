module hello

go 1.25

require relayattn v0.1.0

replace relayattn => ../../bindings/go
