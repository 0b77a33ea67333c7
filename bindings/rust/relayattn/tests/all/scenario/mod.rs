//! Replays the scenario that the tests of all languages share.

mod batches;
mod data;
mod objects;
mod op;

use objects::Objects;
use op::{Op, Outcome};
use relayattn::ErrorCode;
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn the_scenario_of_all_languages_answers_as_written() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/bindings/scenario.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        // A packed crate is tested outside the tree that has the scenario.
        assert!(std::env::var_os("RELAYATTN_PACKED").is_some(), "there is no {path}");
        println!("SKIPPED: the scenario is not part of the package");
        return;
    };
    let scenario: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(scenario["format"], 1);
    let operations = scenario["operations"].as_array().unwrap();
    let (mut objects, mut reached, mut impossible) = (Objects::default(), BTreeSet::new(), 0);
    for (at, op) in operations.iter().map(Op).enumerate() {
        let (got, want) = match objects.run(op) {
            Ok(()) => (0, op.number("status")),
            Err(Outcome::Failed(error)) => {
                reached.insert(error.code() as i32);
                assert!(!error.message().is_empty());
                (error.code().status().into(), op.number("status"))
            }
            Err(Outcome::Impossible) => {
                assert!(op.number("status") != 0 || op.text("op") == "release", "{}", op.0);
                impossible += 1;
                continue;
            }
        };
        assert_eq!(got, want, "operation {at}: {:.300}", op.0.to_string());
    }
    println!("{} operations, {impossible} of them impossible in Rust", operations.len());
    println!("failures by code: {reached:?}");
    assert!(operations.len() > 100 && impossible * 10 < operations.len());
    assert!(reached.contains(&(ErrorCode::Pages as i32)));
}
