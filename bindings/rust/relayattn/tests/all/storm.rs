//! Objects are made, used and dropped by many threads for a minute, with a server at work in between.

use crate::scene::{self, kv, q};
use relayattn::{AttendArgs, Batch, Cache, ErrorCode, PlanOptions, Sequence};
use std::thread;
use std::time::{Duration, Instant};

fn duration() -> Duration {
    let quick = std::env::var_os("RELAYATTN_TEST_QUICK").is_some_and(|value| !value.is_empty());
    Duration::from_secs(if quick { 5 } else { 60 })
}

fn step(batch: &mut Batch, sequence: &Sequence, seed: u64) -> relayattn::Result<Vec<f32>> {
    let (q, k, v, mut out) = (q(1, seed), kv(1, seed + 1), kv(1, seed + 2), q(1, 0));
    let mut step = batch.begin([(sequence, 1)])?;
    step.attend(0, &mut AttendArgs::new(&q, &mut out).kv(&k, &v))?;
    step.commit()?;
    Ok(out)
}

/// Makes a tree and drops it in an order that changes; sometimes in the midst of a step.
fn churn(cache: &Cache, round: u64) -> relayattn::Result<()> {
    let mut open = cache.prefix(None, 20)?;
    open.write(0, 0..20, &kv(20, round), &kv(20, round))?;
    let prefix = open.seal()?;
    let head = prefix.split(9)?;
    let (a, b) = (cache.attach(&prefix)?, cache.attach(&head)?);
    let mut batch = cache.batch(&PlanOptions::new())?;
    step(&mut batch, &a, round)?;
    let fork = a.fork()?;
    match round % 4 {
        0 => drop((prefix, a, head, b)),
        1 => batch.begin([(&fork, 3), (&b, 1)])?.detach(),
        2 => drop((fork.freeze(None)?, batch)),
        _ => {}
    }
    Ok(())
}

#[test]
fn drops_under_load_disturb_nothing() {
    let (cache, end) = (scene::cache(4096), Instant::now() + duration());
    let prompt = scene::sealed(&cache, None, 40, 1);
    let expected = {
        let alone = scene::cache(4096);
        let sequence = alone.attach(&scene::sealed(&alone, None, 40, 1)).unwrap();
        step(&mut alone.batch(&PlanOptions::new()).unwrap(), &sequence, 7).unwrap()
    };
    let rounds: u64 = thread::scope(|scope| {
        let churners: Vec<_> = (0..3)
            .map(|thread| {
                let cache = &cache;
                scope.spawn(move || {
                    let mut round = thread;
                    while Instant::now() < end {
                        match churn(cache, round) {
                            Err(error) if error.code() != ErrorCode::Pages => panic!("{error}"),
                            _ => round += 1,
                        }
                    }
                    round - thread
                })
            })
            .collect();
        let mut batch = cache.batch(&PlanOptions::new()).unwrap();
        while Instant::now() < end {
            let sequence = cache.attach(&prompt).unwrap();
            let got = step(&mut batch, &sequence, 7).unwrap();
            for (got, expected) in got.iter().zip(&expected) {
                assert!((got - expected).abs() < 1e-5, "{got} and {expected}");
            }
        }
        churners.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(rounds > 10, "{rounds} rounds");
    let pages = cache.pages(0).unwrap();
    assert_eq!(pages.total - pages.free, 5, "only the prompt's pages are held");
}
