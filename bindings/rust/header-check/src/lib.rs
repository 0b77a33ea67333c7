//! Nothing: the tests of this package compare relayattn-sys with bindgen's view of the C header. They are
//! apart so that bindgen is not built with relayattn-sys itself.
