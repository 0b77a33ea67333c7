//! The C API of relayattn, item by item. The crate `relayattn` is what programs use.
//!
//! Declarations and their comments are generated from the C header, layouts are checked when this is
//! compiled. The README tells how the library is found. Where a comment names a section, it is one of
//! the manual's in the header, which begins:
//!
#![doc = include_str!("generated/manual.md")]
#![allow(non_camel_case_types)]

#[path = "generated/api.rs"]
mod api;
#[path = "generated/constants.rs"]
mod constants;
#[path = "generated/layout.rs"]
mod layout;
#[path = "generated/types.rs"]
mod types;
pub use api::*;
pub use constants::*;
pub use types::*;

#[cfg(not(feature = "dlopen"))]
#[path = "generated/linked.rs"]
mod linked;
#[cfg(not(feature = "dlopen"))]
pub use linked::*;

#[cfg(feature = "dlopen")]
mod loader;
#[cfg(feature = "dlopen")]
pub use loader::*;
