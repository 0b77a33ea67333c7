//! The feature `dlopen`, when there is no library. In programs of their own, as loading is final.

#![cfg(feature = "dlopen")]

use relayattn::{Context, ErrorCode, Model, library_version};
use std::process::Command;

const ROLE: &str = "RELAYATTN_TEST_ROLE";

/// Runs the test `name` of this program again, in that role.
fn run_again(name: &str, library: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ROLE, "1")
        .env("RELAYATTN_LIBRARY", library)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn is_again() -> bool {
    std::env::var_os(ROLE).is_some()
}

#[test]
fn a_library_that_is_not_there_is_an_error_that_names_it() {
    if !is_again() {
        return run_again("a_library_that_is_not_there_is_an_error_that_names_it", "/not/here.so");
    }
    assert_eq!(library_version(), 0);
    let error = Context::cpu().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Device);
    assert!(error.message().contains("/not/here.so"), "{error}");
    assert_eq!(Model::new(1).unwrap_err().code(), ErrorCode::Device);
}

#[test]
fn a_library_that_is_another_is_an_error() {
    if !is_again() {
        return run_again("a_library_that_is_another_is_an_error", "libm.so.6");
    }
    let error = Context::cpu().unwrap_err();
    assert!(error.message().contains("ra_get_api"), "{error}");
}

#[test]
fn the_first_load_is_final() {
    if !is_again() {
        return run_again("the_first_load_is_final", "");
    }
    // SAFETY: there is no such file.
    let refused = unsafe { relayattn::load("/not/here.so") }.unwrap_err();
    assert!(refused.contains("/not/here.so"), "{refused}");
    let error = Context::cpu().unwrap_err();
    assert_eq!(error.message(), refused);
}

#[test]
fn the_library_is_loaded_from_the_named_file() {
    if !is_again() {
        return run_again("the_library_is_loaded_from_the_named_file", "/not/here.so");
    }
    let Some(prefix) = std::env::var_os("RELAYATTN_PREFIX") else { return };
    let file = std::path::Path::new(&prefix).join("lib/librelayattn.so.0");
    // SAFETY: it is this library.
    unsafe { relayattn::load(file) }.unwrap();
    assert!(library_version() >= 100);
    Context::cpu().unwrap();
    // SAFETY: nothing is loaded any more.
    assert!(unsafe { relayattn::load("/not/here.so") }.unwrap_err().contains("already"));
}
