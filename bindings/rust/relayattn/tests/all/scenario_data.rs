//! Input and expected output of the scenario's operations, as tests/bindings/README.md defines them.

use relayattn::{Dtype, View, ViewMut};

/// A tensor's elements in memory: 32-bit ones, or the bits of 16-bit ones.
pub enum Buffer {
    Wide(Vec<f32>),
    Narrow(Vec<u16>, Dtype),
}

pub fn dtype(number: i64) -> Option<Dtype> {
    const ALL: [Dtype; 9] = [
        Dtype::F32,
        Dtype::F16,
        Dtype::Bf16,
        Dtype::F8E4M3,
        Dtype::F8E5M2,
        Dtype::I8,
        Dtype::Q8_0,
        Dtype::I4,
        Dtype::F4E2M1,
    ];
    ALL.into_iter().find(|dtype| *dtype as i64 == number)
}

fn f16_bits(numerator: i64) -> u16 {
    if numerator == 0 {
        return 0;
    }
    let size = numerator.unsigned_abs();
    let exponent = u64::from(size.ilog2());
    let sign = u64::from(numerator < 0) << 15;
    (sign | (exponent + 9) << 10 | ((size << (10 - exponent)) & 1023)) as u16
}

pub fn f16_value(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 0 { size } else { -size }
}

impl Buffer {
    pub fn zeros(size: usize, dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::Wide(vec![0.0; size]),
            _ => Self::Narrow(vec![0; size], dtype),
        }
    }

    pub fn from_seed(seed: i64, size: usize, dtype: Dtype) -> Self {
        let mut state = seed;
        let numerators = (0..size).map(|_| {
            state = (state * 1103515245 + 12345) % (1 << 31);
            (state >> 16) % 255 - 127
        });
        let value = |numerator: i64| numerator as f32 / 64.0;
        match dtype {
            Dtype::F32 => Self::Wide(numerators.map(value).collect()),
            Dtype::F16 => Self::Narrow(numerators.map(f16_bits).collect(), dtype),
            _ => {
                let bits = |numerator| (value(numerator).to_bits() >> 16) as u16;
                Self::Narrow(numerators.map(bits).collect(), dtype)
            }
        }
    }

    pub fn view(&self) -> View<'_> {
        match self {
            Self::Wide(data) => View::new(data),
            Self::Narrow(data, dtype) => View::from_bits(data, *dtype),
        }
    }

    pub fn view_mut(&mut self) -> ViewMut<'_> {
        match self {
            Self::Wide(data) => ViewMut::new(data),
            Self::Narrow(data, dtype) => ViewMut::from_bits(data, *dtype),
        }
    }

    fn values(&self) -> Vec<f64> {
        let of_bf16 = |bits: &u16| f64::from(f32::from_bits(u32::from(*bits) << 16));
        match self {
            Self::Wide(data) => data.iter().map(|x| f64::from(*x)).collect(),
            Self::Narrow(data, Dtype::F16) => data.iter().map(|bits| f16_value(*bits)).collect(),
            Self::Narrow(data, _) => data.iter().map(of_bf16).collect(),
        }
    }

    pub fn assert_near(&self, want: &[f64], what: &str) {
        let tolerance = match self {
            Self::Wide(_) => 3e-6,
            Self::Narrow(_, Dtype::F16) => 5e-4,
            Self::Narrow(..) => 4e-3,
        };
        let got = self.values();
        assert_eq!(got.len(), want.len(), "{what}");
        for (at, (got, want)) in got.iter().zip(want).enumerate() {
            let same = match *want {
                -1e300 => *got == f64::NEG_INFINITY,
                want => (got - want).abs() <= tolerance * (1.0 + want.abs()),
            };
            assert!(same, "{what}[{at}] is {got}; it should be {want}");
        }
    }

    pub fn assert_equal(&self, want: &Self, what: &str) {
        match (self, want) {
            (Self::Wide(got), Self::Wide(want)) => assert!(got == want, "{what}"),
            (Self::Narrow(got, _), Self::Narrow(want, _)) => assert!(got == want, "{what}"),
            _ => panic!("{what} has another type"),
        }
    }
}
