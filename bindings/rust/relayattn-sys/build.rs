//! Tells the linker where the C library is. README.md has the order in which places are tried.

use std::env;
use std::path::Path;

const NEEDED_BY_STATIC: [&str; 4] = ["stdc++", "m", "pthread", "dl"];

fn main() {
    for name in ["RELAYATTN_LIB_DIR", "RELAYATTN_STATIC"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    // Documentation is built on machines that have no library.
    if env::var_os("CARGO_FEATURE_DLOPEN").is_some() || env::var_os("DOCS_RS").is_some() {
        return;
    }
    let is_static = env::var("RELAYATTN_STATIC").is_ok_and(|value| !["", "0"].contains(&&*value));
    if let Ok(folder) = env::var("RELAYATTN_LIB_DIR") {
        link(Path::new(&folder), is_static);
    } else if env::var_os("CARGO_FEATURE_VENDORED").is_some() {
        build_vendored();
    } else {
        ask_pkg_config(is_static);
    }
}

fn link(folder: &Path, is_static: bool) {
    println!("cargo:rustc-link-search=native={}", folder.display());
    if is_static {
        println!("cargo:rustc-link-lib=static=relayattn");
        for library in NEEDED_BY_STATIC {
            println!("cargo:rustc-link-lib={library}");
        }
    } else {
        println!("cargo:rustc-link-lib=relayattn");
    }
}

fn ask_pkg_config(is_static: bool) {
    let version = env!("CARGO_PKG_VERSION");
    let mut request = pkg_config::Config::new();
    request.atleast_version(version).cargo_metadata(!is_static);
    match request.probe("relayattn") {
        Ok(library) if is_static => link(&library.link_paths[0], true),
        Ok(_) => {}
        Err(error) => {
            eprintln!(
                "The C library relayattn {version} was not found. Install it and set \
                 PKG_CONFIG_PATH to its lib/pkgconfig, or RELAYATTN_LIB_DIR to its folder; or \
                 use the feature `vendored`, which builds it, or `dlopen`, which needs it at run \
                 time only.\n\n{error}"
            );
            std::process::exit(1);
        }
    }
}

#[cfg(not(feature = "vendored"))]
fn build_vendored() {}

/// The sources are in `vendor` of a package, and three folders up in the project's own tree.
#[cfg(feature = "vendored")]
fn build_vendored() {
    let here = env::var("CARGO_MANIFEST_DIR").unwrap(); // not env!: a moved package keeps its build
    let places = [format!("{here}/vendor"), format!("{here}/../../..")];
    let is_source = |place: &&String| Path::new(place).join("capi/relayattn.map").exists();
    let Some(source) = places.iter().find(is_source) else {
        eprintln!("There are no C++ sources in {}; stage.sh puts them there.", places[0]);
        std::process::exit(1);
    };
    for part in ["CMakeLists.txt", "capi", "cmake", "impl"] {
        println!("cargo:rerun-if-changed={source}/{part}");
    }
    let out = cmake::Config::new(source)
        .profile("Release") // also in debug builds of Rust: the kernels are what is debugged least
        .define("RELAYATTN_STATIC", "ON")
        .define("RELAYATTN_CUDA", "OFF")
        .define("RELAYATTN_BUILD_TESTS", "OFF")
        .define("RELAYATTN_BUILD_EXAMPLES", "OFF")
        .define("RELAYATTN_WERROR", "OFF")
        .define("CMAKE_INSTALL_LIBDIR", "lib")
        .build();
    link(&out.join("lib"), true);
}
