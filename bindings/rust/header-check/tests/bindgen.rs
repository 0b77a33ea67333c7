//! Every item of relayattn-sys is what bindgen makes of the header, and the other way round.

#![allow(missing_docs)]

use quote::ToTokens;
use std::collections::BTreeMap;
use syn::{Expr, Fields, ForeignItem, Item, ReturnType, Signature, Type};

const CRATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../relayattn-sys/src/generated");
const LOADED: [&str; 6] = [
    "loaded/batch.rs",
    "loaded/cache.rs",
    "loaded/context.rs",
    "loaded/model.rs",
    "loaded/prefix.rs",
    "loaded/sequence.rs",
];
const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../capi/include");

/// A type without what the two may say differently: paths, names of parameters, Option around a
/// function, blanks.
fn plain(kind: &Type) -> String {
    let mut text = match kind {
        Type::BareFn(function) => {
            let inputs: Vec<_> = function.inputs.iter().map(|input| plain(&input.ty)).collect();
            format!("fn({}){}", inputs.join(","), plain_result(&function.output))
        }
        Type::Ptr(pointer) => {
            let mutability = if pointer.mutability.is_some() { "*mut " } else { "*const " };
            return format!("{mutability}{}", plain(&pointer.elem));
        }
        Type::Path(path) => {
            let last = path.path.segments.last().unwrap();
            if last.ident == "Option" {
                let syn::PathArguments::AngleBracketed(inner) = &last.arguments else { panic!() };
                let syn::GenericArgument::Type(inner) = &inner.args[0] else { panic!() };
                return plain(inner);
            }
            last.ident.to_string()
        }
        other => other.to_token_stream().to_string(),
    };
    text.retain(|char| char != ' ');
    text
}

fn plain_result(result: &ReturnType) -> String {
    match result {
        ReturnType::Default => String::new(),
        ReturnType::Type(_, kind) => format!("->{}", plain(kind)),
    }
}

fn plain_signature(signature: &Signature) -> String {
    let one = |input: &syn::FnArg| match input {
        syn::FnArg::Typed(typed) => {
            format!("{}:{}", typed.pat.to_token_stream(), plain(&typed.ty))
        }
        syn::FnArg::Receiver(_) => panic!("a method"),
    };
    let inputs: Vec<_> = signature.inputs.iter().map(one).collect();
    format!("({}){}", inputs.join(","), plain_result(&signature.output))
}

fn plain_value(value: &Expr) -> String {
    value.to_token_stream().to_string().replace(' ', "")
}

/// Each item by name, in words that are equal for equal items.
fn items(source: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut add = |name: String, text: String| {
        if name.to_lowercase().starts_with("ra_") {
            assert!(found.insert(name.clone(), text).is_none(), "{name} is there twice");
        }
    };
    for item in syn::parse_file(source).unwrap().items {
        match item {
            Item::Const(item) => add(item.ident.to_string(), plain_value(&item.expr)),
            Item::Type(item) => add(item.ident.to_string(), plain(&item.ty)),
            Item::Struct(item) => {
                let Fields::Named(fields) = &item.fields else { continue };
                let public = fields
                    .named
                    .iter()
                    .filter(|field| !field.ident.as_ref().unwrap().to_string().starts_with('_'));
                let fields: Vec<_> = public
                    .map(|field| format!("{}:{}", field.ident.as_ref().unwrap(), plain(&field.ty)))
                    .collect();
                add(item.ident.to_string(), fields.join(","));
            }
            Item::ForeignMod(block) => {
                for item in block.items {
                    let ForeignItem::Fn(function) = item else { panic!("a foreign value") };
                    add(function.sig.ident.to_string(), plain_signature(&function.sig));
                }
            }
            Item::Fn(function) => {
                add(function.sig.ident.to_string(), plain_signature(&function.sig))
            }
            _ => {}
        }
    }
    found
}

fn ours(files: &[&str]) -> BTreeMap<String, String> {
    let read = |file: &&str| items(&std::fs::read_to_string(format!("{CRATE}/{file}")).unwrap());
    files.iter().flat_map(read).collect()
}

fn bindgen() -> BTreeMap<String, String> {
    let bindings = bindgen::Builder::default()
        .header(format!("{INCLUDE}/relayattn/relayattn.h"))
        .allowlist_item("(ra|RA)_.*")
        .generate()
        .unwrap();
    items(&bindings.to_string())
}

fn assert_same(ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) {
    let names = ours.keys().chain(theirs.keys());
    let wrong: Vec<_> = names
        .filter(|name| ours.get(*name) != theirs.get(*name))
        .map(|name| {
            format!("{name}\n  ours:    {:?}\n  other:   {:?}", ours.get(name), theirs.get(name))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_item_is_what_bindgen_makes_of_the_header() {
    let (ours, theirs) = (ours(&["api.rs", "constants.rs", "types.rs", "linked.rs"]), bindgen());
    assert!(ours.len() > 140, "{} items", ours.len());
    assert_same(&ours, &theirs);
}

/// The functions for `dlopen` have the same signatures, but for those that are written by hand.
#[test]
fn functions_out_of_the_table_are_the_linked_ones() {
    let (loaded, mut linked) = (ours(&LOADED), ours(&["linked.rs"]));
    for by_hand in ["ra_version", "ra_last_error", "ra_status_name", "ra_get_api"] {
        assert!(linked.remove(by_hand).is_some());
    }
    assert_same(&loaded, &linked);
}
