//! One operation of the scenario.

use super::data::Buffer;
use relayattn::{Dtype, Error};
use serde_json::Value;

/// What became of an operation.
pub enum Outcome {
    Failed(Error),
    /// Rust's types rule the operation out.
    Impossible,
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

pub type Answer = Result<(), Outcome>;

pub fn possible<T>(value: Option<T>) -> Result<T, Outcome> {
    value.ok_or(Outcome::Impossible)
}

/// One operation's fields.
#[derive(Clone, Copy)]
pub struct Op<'a>(pub &'a Value);

impl<'a> Op<'a> {
    pub fn text(self, name: &str) -> &'a str {
        self.0[name].as_str().unwrap_or_else(|| panic!("{name} of {}", self.0))
    }

    pub fn number(self, name: &str) -> i64 {
        self.0[name].as_i64().unwrap_or_else(|| panic!("{name} of {}", self.0))
    }

    /// A count; negative ones cannot be said in Rust.
    pub fn count(self, name: &str) -> Result<usize, Outcome> {
        possible(usize::try_from(self.number(name)).ok())
    }

    pub fn float(self, name: &str) -> f32 {
        self.0[name].as_f64().unwrap_or_else(|| panic!("{name} of {}", self.0)) as f32
    }

    pub fn array(self, name: &str) -> &'a [Value] {
        self.0[name].as_array().unwrap_or_else(|| panic!("{name} of {}", self.0))
    }

    pub fn numbers(self, name: &str) -> Vec<i64> {
        self.array(name).iter().map(|value| value.as_i64().unwrap()).collect()
    }

    pub fn counts(self, name: &str) -> Result<Vec<usize>, Outcome> {
        let all: Result<_, _> = self.numbers(name).into_iter().map(usize::try_from).collect();
        possible(all.ok())
    }

    pub fn floats(self, name: &str) -> Vec<f32> {
        self.array(name).iter().map(|value| value.as_f64().unwrap() as f32).collect()
    }

    pub fn doubles(self, name: &str) -> Vec<f64> {
        self.array(name).iter().map(|value| value.as_f64().unwrap()).collect()
    }

    pub fn input(self, name: &str, dtype: Dtype) -> Option<Buffer> {
        let size = self.number(&format!("{name}_size")) as usize;
        (self.number(name) != 0).then(|| Buffer::from_seed(self.number(name), size, dtype))
    }

    pub fn assert_is(self, name: &str, got: usize) {
        assert_eq!(got as i64, self.number(name), "{name} of {}", self.0);
    }
}
