module relayattn

go 1.25
