//! The smallest server loop: requests that begin with the same prompt join and leave, and each step
//! computes one layer's attention for all of them at once. Random numbers stand in for a model's q, k
//! and v; every output is checked against plain attention in f64.

use relayattn::{
    AttendArgs, Batch, Cache, CacheOptions, Context, Dtype, LayerOptions, Model, PlanOptions,
    Sequence,
};

const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const DIM: usize = 64;
const PROMPT_TOKENS: usize = 300;

/// What the server knows of one client.
struct Request {
    sequence: Sequence,
    k: Vec<f32>, // all tokens so far, for the check only
    v: Vec<f32>,
    next: usize, // new tokens of the next step: its question first, then one answer token each
    left: usize, // steps still to come
}

fn main() -> relayattn::Result<()> {
    let layer = LayerOptions::new(HEADS, KV_HEADS, DIM).dtype(Dtype::F32);
    let cache =
        Cache::new(&Context::cpu()?, &Model::uniform(1, &layer)?, &CacheOptions::new(4096))?;
    let mut batch = cache.batch(&PlanOptions::new())?;
    let mut random = Random(1);

    let k = random.numbers(PROMPT_TOKENS * KV_HEADS * DIM);
    let v = random.numbers(PROMPT_TOKENS * KV_HEADS * DIM);
    let mut prompt = cache.prefix(None, PROMPT_TOKENS)?;
    prompt.write(0, 0..PROMPT_TOKENS, &k, &v)?;
    let prompt = prompt.seal()?;

    let (mut running, mut arrived) = (Vec::new(), 0);
    for step in 0.. {
        if arrived < 6 && step % 2 == 0 {
            arrived += 1; // a request joins every other step
            let (sequence, k, v) = (cache.attach(&prompt)?, k.clone(), v.clone());
            running.push(Request { sequence, k, v, next: 3 + arrived, left: 4 + arrived % 4 });
        }
        let worst = serve(&mut batch, &mut running, &mut random)?;
        println!("step {step:2}: {} requests, largest error {worst:.0e}", running.len());
        assert!(worst < 1e-5, "the result is wrong");
        running.retain(|request| request.left > 0); // those that leave give their pages back
        if arrived == 6 && running.is_empty() {
            break;
        }
    }
    let pages = cache.pages(0)?;
    println!("{} of {} pages hold the prompt", pages.total - pages.free, pages.total);
    Ok(())
}

/// One step of all requests. Returns the largest error.
fn serve(
    batch: &mut Batch,
    requests: &mut [Request],
    random: &mut Random,
) -> relayattn::Result<f64> {
    let tokens: usize = requests.iter().map(|request| request.next).sum();
    let q = random.numbers(tokens * HEADS * DIM);
    let k = random.numbers(tokens * KV_HEADS * DIM);
    let v = random.numbers(tokens * KV_HEADS * DIM);
    let mut out = vec![0.0; tokens * HEADS * DIM];

    let mut step = batch.begin(requests.iter().map(|request| (&request.sequence, request.next)))?;
    step.attend(0, &mut AttendArgs::new(&q, &mut out).kv(&k, &v))?;
    step.commit()?;

    let (mut worst, mut row) = (0.0f64, 0);
    for request in requests {
        for _ in 0..request.next {
            request.k.extend_from_slice(&k[row * KV_HEADS * DIM..][..KV_HEADS * DIM]);
            request.v.extend_from_slice(&v[row * KV_HEADS * DIM..][..KV_HEADS * DIM]);
            for head in row * HEADS..(row + 1) * HEADS {
                let (q, out) = (&q[head * DIM..][..DIM], &out[head * DIM..][..DIM]);
                let kv_head = head % HEADS * KV_HEADS / HEADS;
                for (want, got) in plain(q, &request.k, &request.v, kv_head).iter().zip(out) {
                    worst = worst.max((want - f64::from(*got)).abs());
                }
            }
            row += 1;
        }
        request.next = 1;
        request.left -= 1;
    }
    Ok(worst)
}

/// The attention of one query head over all tokens of a request.
fn plain(q: &[f32], k: &[f32], v: &[f32], kv_head: usize) -> [f64; DIM] {
    let (mut out, mut sum) = ([0.0; DIM], 0.0);
    for (k, v) in k.chunks(DIM).zip(v.chunks(DIM)).skip(kv_head).step_by(KV_HEADS) {
        let score: f64 = q.iter().zip(k).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum();
        let weight = (score / (DIM as f64).sqrt()).exp();
        sum += weight;
        out.iter_mut().zip(v).for_each(|(out, v)| *out += weight * f64::from(*v));
    }
    out.map(|x| x / sum)
}

struct Random(u64);

impl Random {
    /// Numbers from -1 to 1.
    fn numbers(&mut self, count: usize) -> Vec<f32> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }
}
