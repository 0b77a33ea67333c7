//! A property: however a random tree of prefixes is cut and planned, its sequences get the same results.

use crate::scene::{self, kv, q};
use relayattn::{AttendArgs, Batch, Cache, PlanMode, PlanOptions, Prefix, Sequence};

struct Dice(u64);

impl Dice {
    /// A number from 1 to `most`.
    fn roll(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        1 + (self.0 >> 33) as usize % most
    }
}

fn grow(cache: &Cache, dice: &mut Dice) -> Vec<Sequence> {
    let mut prefixes: Vec<Option<Prefix>> = vec![None];
    for _ in 0..dice.roll(5) {
        let parent = prefixes[dice.roll(prefixes.len()) - 1].as_ref();
        let (tokens, seed) = (dice.roll(40), dice.0);
        let mut prefix = scene::sealed(cache, parent, tokens, seed);
        if tokens > 1 && dice.roll(2) == 1 {
            let head = prefix.split(dice.roll(tokens - 1)).unwrap();
            if dice.roll(2) == 1 {
                prefix = head;
            }
        }
        prefixes.push(Some(prefix));
    }
    let mut sequences: Vec<Sequence> = (0..dice.roll(6))
        .map(|_| cache.attach(prefixes[dice.roll(prefixes.len()) - 1].as_ref()).unwrap())
        .collect();
    if dice.roll(2) == 1 {
        sequences.push(sequences[0].fork().unwrap());
    }
    sequences
}

fn attend(batch: &mut Batch, rows: &[(&Sequence, usize)], seed: u64) -> [Vec<f32>; 2] {
    let tokens = rows.iter().map(|row| row.1).sum();
    let (q, k, v) = (q(tokens, seed), kv(tokens, seed + 1), kv(tokens, seed + 2));
    let (mut out, mut lse) = (vec![f32::NAN; q.len()], vec![f32::NAN; tokens * scene::HEADS]);
    let mut step = batch.begin(rows.iter().copied()).unwrap();
    step.attend(0, &mut AttendArgs::new(&q, &mut out).lse(&mut lse).kv(&k, &v)).unwrap();
    step.abort().unwrap();
    [out, lse]
}

#[test]
fn relay_and_auto_equal_flat_on_random_trees() {
    for seed in 0..60 {
        let (cache, mut dice) = (scene::cache(1024), Dice(seed));
        let sequences = grow(&cache, &mut dice);
        let rows: Vec<_> = sequences.iter().map(|one| (one, dice.roll(4) - 1)).collect();
        let [flat, relay, auto] = [PlanMode::Flat, PlanMode::Relay, PlanMode::Auto].map(|mode| {
            attend(&mut cache.batch(&PlanOptions::new().mode(mode)).unwrap(), &rows, seed)
        });
        for other in [relay, auto] {
            for (flat, other) in flat.iter().flatten().zip(other.iter().flatten()) {
                assert!((flat - other).abs() < 1e-5, "seed {seed}: {flat} and {other}");
            }
        }
    }
}
