//! Replays the scenario that the tests of all languages share.

use crate::scenario_data::{Buffer, dtype};
use relayattn::{
    AttendArgs, Backend, Batch, Cache, CacheOptions, Context, ContextOptions, Error, ErrorCode,
    Kept, LayerOptions, MergeArgs, Model, OpenPrefix, PlanFlags, PlanInfo, PlanMode, PlanOptions,
    Prefix, Queue, Retain, Row, Sequence, Span, StepOptions, Window,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What became of an operation.
enum Outcome {
    Failed(Error),
    /// Rust's types rule the operation out.
    Impossible,
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

type Answer = Result<(), Outcome>;

fn possible<T>(value: Option<T>) -> Result<T, Outcome> {
    value.ok_or(Outcome::Impossible)
}

#[derive(Default)]
struct Objects {
    contexts: BTreeMap<String, Context>,
    models: BTreeMap<String, Model>,
    caches: BTreeMap<String, Cache>,
    open: BTreeMap<String, OpenPrefix>,
    sealed: BTreeMap<String, Prefix>,
    sequences: BTreeMap<String, Sequence>,
    batches: BTreeMap<String, Batch>,
}

/// One operation's fields.
#[derive(Clone, Copy)]
struct Op<'a>(&'a Value);

impl<'a> Op<'a> {
    fn text(self, name: &str) -> &'a str {
        self.0[name].as_str().unwrap_or_else(|| panic!("{name} of {}", self.0))
    }

    fn number(self, name: &str) -> i64 {
        self.0[name].as_i64().unwrap_or_else(|| panic!("{name} of {}", self.0))
    }

    /// A count; negative ones cannot be said in Rust.
    fn count(self, name: &str) -> Result<usize, Outcome> {
        possible(usize::try_from(self.number(name)).ok())
    }

    fn float(self, name: &str) -> f32 {
        self.0[name].as_f64().unwrap_or_else(|| panic!("{name} of {}", self.0)) as f32
    }

    fn array(self, name: &str) -> &'a [Value] {
        self.0[name].as_array().unwrap_or_else(|| panic!("{name} of {}", self.0))
    }

    fn numbers(self, name: &str) -> Vec<i64> {
        self.array(name).iter().map(|value| value.as_i64().unwrap()).collect()
    }

    fn counts(self, name: &str) -> Result<Vec<usize>, Outcome> {
        let all: Result<_, _> = self.numbers(name).into_iter().map(usize::try_from).collect();
        possible(all.ok())
    }

    fn floats(self, name: &str) -> Vec<f32> {
        self.array(name).iter().map(|value| value.as_f64().unwrap() as f32).collect()
    }

    fn doubles(self, name: &str) -> Vec<f64> {
        self.array(name).iter().map(|value| value.as_f64().unwrap()).collect()
    }

    fn input(self, name: &str, dtype: relayattn::Dtype) -> Option<Buffer> {
        let size = self.number(&format!("{name}_size")) as usize;
        (self.number(name) != 0).then(|| Buffer::from_seed(self.number(name), size, dtype))
    }

    fn assert_is(self, name: &str, got: usize) {
        assert_eq!(got as i64, self.number(name), "{name} of {}", self.0);
    }
}

impl Objects {
    fn run(&mut self, op: Op<'_>) -> Answer {
        match op.text("op") {
            "context_create" => self.context_create(op),
            "context_supports" => self.context_supports(op),
            "merge_state" => self.merge_state(op),
            "model_create" => self.model_create(op),
            "model_set_layers" => self.model_set_layers(op),
            "model_layer_group" => self.model_layer_group(op),
            "cache_create" => self.cache_create(op),
            "cache_pages" => self.cache_pages(op),
            "prefix_create" => self.prefix_create(op),
            "prefix_write" => self.prefix_write(op),
            "prefix_read" => self.prefix_read(op),
            "prefix_seal" => self.prefix_seal(op),
            "prefix_from_sequence" => self.prefix_from_sequence(op),
            "prefix_split" => self.prefix_split(op),
            "prefix_length" => self.prefix_length(op),
            "sequence_attach" => self.sequence_attach(op),
            "sequence_fork" => self.sequence_fork(op),
            "sequence_truncate" => self.sequence_truncate(op),
            "sequence_length" => self.sequence_length(op),
            "sequence_pages" => self.sequence_pages(op),
            "batch_create" => self.batch_create(op),
            "batch_pages_needed" => self.batch_pages_needed(op),
            "batch_begin" => self.batch_begin(op),
            "batch_begin_dummy" => self.batch_begin_dummy(op),
            "batch_attend" => self.batch_attend(op),
            "batch_commit" => self.batch_commit(op),
            "batch_abort" => self.batch_abort(op),
            "batch_query" => self.batch_query(op),
            "release" => self.release(op.text("object")),
            other => panic!("the scenario has an operation {other} that this test does not know"),
        }
    }

    fn context_create(&mut self, op: Op<'_>) -> Answer {
        let backend = match op.number("backend") {
            0 => Some(Backend::Auto),
            1 => Some(Backend::Cpu),
            2 => Some(Backend::Cuda),
            _ => None,
        };
        let options = ContextOptions::new()
            .backend(possible(backend)?)
            .ordinal(op.number("ordinal") as i32)
            .num_threads(op.count("num_threads")?);
        self.contexts.insert(op.text("out").into(), Context::new(&options)?);
        Ok(())
    }

    fn context(&self, op: Op<'_>) -> Result<&Context, Outcome> {
        possible(self.contexts.get(op.text("context")))
    }

    fn context_supports(&mut self, op: Op<'_>) -> Answer {
        let model = possible(self.models.get(op.text("model")))?;
        let flags = PlanFlags::from_bits(op.number("plan_flags") as i32);
        Ok(self.context(op)?.supports(model, op.count("page_size")?, flags)?)
    }

    fn merge_state(&mut self, op: Op<'_>) -> Answer {
        let shape = [op.count("num_tokens")?, op.count("num_heads")?, op.count("head_dim")?];
        let size: usize = shape.iter().product();
        let values = |name| Buffer::from_seed(op.number(name), size, relayattn::Dtype::F32);
        let (a, b) = (values("a"), values("b"));
        let (a_lse, b_lse) = (op.floats("a_lse"), op.floats("b_lse"));
        let minus_infinity = |x: f32| if x < -1e38 { f32::NEG_INFINITY } else { x };
        let a_lse: Vec<f32> = a_lse.into_iter().map(minus_infinity).collect();
        let b_lse: Vec<f32> = b_lse.into_iter().map(minus_infinity).collect();
        let mut out = Buffer::zeros(size, relayattn::Dtype::F32);
        let mut lse = Buffer::zeros(shape[0] * shape[1], relayattn::Dtype::F32);
        let mut args =
            MergeArgs::new(shape, (a.view(), &a_lse), (b.view(), &b_lse), out.view_mut())
                .out_lse(lse.view_mut());
        match op.number("lse_base2") {
            0 => {}
            1 => args = args.base2(),
            _ => return Err(Outcome::Impossible),
        }
        self.context(op)?.merge(&mut args)?;
        out.assert_near(&op.doubles("out_values"), "out");
        lse.assert_near(&op.doubles("lse_values"), "lse");
        Ok(())
    }

    fn model_create(&mut self, op: Op<'_>) -> Answer {
        self.models.insert(op.text("out").into(), Model::new(op.count("num_layers")?)?);
        Ok(())
    }

    fn model_set_layers(&mut self, op: Op<'_>) -> Answer {
        let (kind, window) = (op.number("window_kind"), op.count("window")?);
        let window = match (kind, window) {
            (0, 0) => Some(Window::None),
            (1, tokens) => Some(Window::Sliding(tokens)),
            (2, tokens) => Some(Window::Chunked(tokens)),
            _ => None,
        };
        let retain = match op.number("retain") {
            0 => Retain::Window,
            -1 => Retain::All,
            _ => Retain::Tokens(op.count("retain")?),
        };
        let dtype = |name| possible(dtype(op.number(name)));
        let flag = |name| possible([false, true].get(op.count(name)?).copied());
        let (q, kv) = (op.count("num_q_heads")?, op.count("num_kv_heads")?);
        let mut options = LayerOptions::new(q, kv, op.count("head_dim_k")?)
            .head_dim_v(op.count("head_dim_v")?)
            .q_dtype(dtype("q_dtype")?)
            .k_dtype(dtype("k_dtype")?)
            .v_dtype(dtype("v_dtype")?)
            .out_dtype(dtype("out_dtype")?)
            .window(possible(window)?)
            .retain(retain)
            .uses_sinks(flag("uses_sinks")?)
            .uses_alibi(flag("uses_alibi")?)
            .softmax_scale(op.float("softmax_scale"))
            .logit_softcap(op.float("logit_softcap"));
        if op.number("kv_layer") != -1 {
            options = options.kv_layer(op.count("kv_layer")?);
        }
        let (first, count) = (op.count("first")?, op.count("count")?);
        let model = possible(self.models.get_mut(op.text("model")))?;
        Ok(model.set_layers(first..first + count, &options)?)
    }

    fn model_layer_group(&mut self, op: Op<'_>) -> Answer {
        let model = possible(self.models.get(op.text("model")))?;
        op.assert_is("group", model.layer_group(op.count("layer")?)?);
        Ok(())
    }

    fn cache_create(&mut self, op: Op<'_>) -> Answer {
        let options = CacheOptions::new(op.count("capacity_tokens")?)
            .page_size(op.count("page_size")?)
            .max_sequences(op.count("max_sequences")?);
        let model = possible(self.models.get(op.text("model")))?;
        let cache = Cache::new(self.context(op)?, model, &options)?;
        self.caches.insert(op.text("out").into(), cache);
        Ok(())
    }

    fn cache(&self, op: Op<'_>) -> Result<&Cache, Outcome> {
        possible(self.caches.get(op.text("cache")))
    }

    fn cache_pages(&mut self, op: Op<'_>) -> Answer {
        let pages = self.cache(op)?.pages(op.count("group")?)?;
        op.assert_is("total", pages.total);
        op.assert_is("free", pages.free);
        Ok(())
    }

    fn sealed(&self, name: &str) -> Result<Option<&Prefix>, Outcome> {
        if name.is_empty() {
            return Ok(None);
        }
        possible(self.sealed.get(name)).map(Some)
    }

    fn prefix_create(&mut self, op: Op<'_>) -> Answer {
        let parent = self.sealed(op.text("parent"))?;
        let open = self.cache(op)?.prefix(parent, op.count("num_tokens")?)?;
        self.open.insert(op.text("out").into(), open);
        Ok(())
    }

    fn prefix_write(&mut self, op: Op<'_>) -> Answer {
        let dtype = possible(dtype(op.number("dtype")))?;
        let (k, v) = (possible(op.input("k", dtype))?, possible(op.input("v", dtype))?);
        let (pos, layer, tokens) = (op.count("pos")?, op.count("layer")?, op.count("num_tokens")?);
        let open = possible(self.open.get_mut(op.text("prefix")))?;
        Ok(open.write(layer, pos..pos + tokens, k.view(), v.view())?)
    }

    fn prefix_read(&mut self, op: Op<'_>) -> Answer {
        let dtype = possible(dtype(op.number("dtype")))?;
        let (pos, layer, tokens) = (op.count("pos")?, op.count("layer")?, op.count("num_tokens")?);
        let mut k = Buffer::zeros(op.count("k_size")?, dtype);
        let mut v = Buffer::zeros(op.count("v_size")?, dtype);
        let tokens = pos..pos + tokens;
        match (self.open.get(op.text("prefix")), self.sealed.get(op.text("prefix"))) {
            (Some(open), _) => open.read(layer, tokens, k.view_mut(), v.view_mut())?,
            (_, Some(sealed)) => sealed.read(layer, tokens, k.view_mut(), v.view_mut())?,
            _ => return Err(Outcome::Impossible),
        }
        k.assert_equal(&op.input("k", dtype).unwrap(), "k");
        v.assert_equal(&op.input("v", dtype).unwrap(), "v");
        Ok(())
    }

    fn prefix_seal(&mut self, op: Op<'_>) -> Answer {
        let open = possible(self.open.remove(op.text("prefix")))?;
        self.sealed.insert(op.text("prefix").into(), open.seal()?);
        Ok(())
    }

    fn prefix_from_sequence(&mut self, op: Op<'_>) -> Answer {
        let tokens = match op.number("num_tokens") {
            -1 => None,
            _ => Some(op.count("num_tokens")?),
        };
        let prefix = self.sequence(op)?.freeze(tokens)?;
        self.sealed.insert(op.text("out").into(), prefix);
        Ok(())
    }

    fn prefix_split(&mut self, op: Op<'_>) -> Answer {
        let prefix = possible(self.sealed.get(op.text("prefix")))?;
        let head = prefix.split(op.count("num_tokens")?)?;
        self.sealed.insert(op.text("out").into(), head);
        Ok(())
    }

    fn prefix_length(&mut self, op: Op<'_>) -> Answer {
        let length = match (self.open.get(op.text("prefix")), self.sealed.get(op.text("prefix"))) {
            (Some(open), _) => open.length()?,
            (_, Some(sealed)) => sealed.length()?,
            _ => return Err(Outcome::Impossible),
        };
        op.assert_is("own", length.own);
        op.assert_is("total", length.total);
        Ok(())
    }

    fn sequence_attach(&mut self, op: Op<'_>) -> Answer {
        let sequence = self.cache(op)?.attach(self.sealed(op.text("prefix"))?)?;
        self.sequences.insert(op.text("out").into(), sequence);
        Ok(())
    }

    fn sequence(&self, op: Op<'_>) -> Result<&Sequence, Outcome> {
        possible(self.sequences.get(op.text("sequence")))
    }

    fn sequence_fork(&mut self, op: Op<'_>) -> Answer {
        let fork = self.sequence(op)?.fork()?;
        self.sequences.insert(op.text("out").into(), fork);
        Ok(())
    }

    fn sequence_truncate(&mut self, op: Op<'_>) -> Answer {
        let length = op.count("length")?;
        Ok(possible(self.sequences.get_mut(op.text("sequence")))?.truncate(length)?)
    }

    fn sequence_length(&mut self, op: Op<'_>) -> Answer {
        let length = self.sequence(op)?.length()?;
        op.assert_is("length", length.tokens);
        if op.number("min") != -1 {
            op.assert_is("min", length.min);
        }
        Ok(())
    }

    fn sequence_pages(&mut self, op: Op<'_>) -> Answer {
        op.assert_is("num", self.sequence(op)?.pages(op.count("group")?)?.len());
        Ok(())
    }

    fn batch_create(&mut self, op: Op<'_>) -> Answer {
        let mode = match op.number("mode") {
            0 => Some(PlanMode::Auto),
            1 => Some(PlanMode::Flat),
            2 => Some(PlanMode::Relay),
            _ => None,
        };
        let options = PlanOptions::new()
            .max_rows(op.count("max_rows")?)
            .max_tokens(op.count("max_tokens")?)
            .mode(possible(mode)?)
            .flags(PlanFlags::from_bits(op.number("flags") as i32));
        let batch = self.cache(op)?.batch(&options)?;
        self.batches.insert(op.text("out").into(), batch);
        Ok(())
    }

    /// Calls with the rows and options of a step, and gives what that gives.
    fn with_step<T>(
        &mut self,
        op: Op<'_>,
        call: impl FnOnce(&mut Batch, &[Row<'_>], &StepOptions<'_>) -> relayattn::Result<T>,
    ) -> Result<T, Outcome> {
        let (q_lens, flags) = (op.counts("q_lens")?, op.numbers("row_flags"));
        let names = op.array("sequences");
        possible((names.len() == q_lens.len()).then_some(()))?;
        possible((flags.is_empty() || flags.len() == names.len()).then_some(()))?;
        let mut rows = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let sequence = possible(self.sequences.get(name.as_str().unwrap()))?;
            let row = Row::new(sequence, q_lens[at]);
            rows.push(match flags.get(at) {
                None | Some(0) => row,
                Some(1) => row.non_causal(),
                Some(2) => row.new_absent(),
                Some(3) => row.non_causal().new_absent(),
                _ => return Err(Outcome::Impossible),
            });
        }
        let mask: Vec<u8> = op.numbers("tree_mask").into_iter().map(|byte| byte as u8).collect();
        let spans = op.counts("spans")?;
        let triple = |span: &[usize]| Span { row: span[0], begin: span[1], end: span[2] };
        let spans: Vec<Span> = spans.chunks_exact(3).map(triple).collect();
        let mut options =
            StepOptions::new().spans(&spans).padded_tokens(op.count("padded_tokens")?);
        if !mask.is_empty() {
            options = options.tree_mask(&mask, op.count("tree_stride")?);
        }
        let batch = possible(self.batches.get_mut(op.text("batch")))?;
        Ok(call(batch, &rows, &options)?)
    }

    fn batch_pages_needed(&mut self, op: Op<'_>) -> Answer {
        let group = op.count("group")?;
        let pages = self.with_step(op, |batch, rows, options| {
            batch.pages_needed(rows.iter().copied(), options, group)
        })?;
        op.assert_is("pages", pages);
        Ok(())
    }

    fn batch_begin(&mut self, op: Op<'_>) -> Answer {
        self.with_step(op, |batch, rows, options| {
            batch.begin_with(rows.iter().copied(), options)?.detach();
            Ok(())
        })
    }

    fn batch(&mut self, op: Op<'_>) -> Result<&mut Batch, Outcome> {
        possible(self.batches.get_mut(op.text("batch")))
    }

    fn batch_begin_dummy(&mut self, op: Op<'_>) -> Answer {
        let (rows, q_len, kv_len) = (op.count("rows")?, op.count("q_len")?, op.count("kv_len")?);
        self.batch(op)?.begin_dummy(rows, q_len, kv_len, Queue::default())?.detach();
        Ok(())
    }

    fn batch_attend(&mut self, op: Op<'_>) -> Answer {
        let type_of = |name| possible(dtype(op.number(name)));
        let (q_dtype, kv_dtype) = (type_of("q_dtype")?, type_of("kv_dtype")?);
        let q = possible(op.input("q", q_dtype))?;
        let (k, v) = (op.input("k", kv_dtype), op.input("v", kv_dtype));
        let (sinks, slopes) = (op.floats("sinks"), op.floats("slopes"));
        let mut out = Buffer::zeros(op.count("out_size")?, type_of("out_dtype")?);
        let mut lse = Buffer::zeros(op.count("lse_size")?, relayattn::Dtype::F32);
        let mut args = AttendArgs::new(q.view(), out.view_mut())
            .softmax_scale(op.float("softmax_scale"))
            .logit_softcap(op.float("logit_softcap"));
        match (&k, &v) {
            (Some(k), Some(v)) => args = args.kv(k.view(), v.view()),
            (None, None) => {}
            _ => return Err(Outcome::Impossible),
        }
        if op.count("lse_size")? > 0 {
            args = args.lse(lse.view_mut());
        }
        if !sinks.is_empty() {
            args = args.sink_logits(&sinks);
        }
        if !slopes.is_empty() {
            args = args.alibi_slopes(&slopes);
        }
        let layer = op.count("layer")?;
        let mut step = possible(self.batch(op)?.step())?;
        let answer = step.attend(layer, &mut args);
        step.detach();
        answer?;
        out.assert_near(&op.doubles("out_values"), "out");
        lse.assert_near(&op.doubles("lse_values"), "lse");
        Ok(())
    }

    fn batch_commit(&mut self, op: Op<'_>) -> Answer {
        let (kept, index) = (op.counts("kept")?, op.counts("index")?);
        let kept = match (kept.is_empty(), index.is_empty()) {
            (true, true) => Kept::All,
            (false, true) => Kept::First(&kept),
            _ => Kept::Path(&kept, &index),
        };
        let mut step = possible(self.batch(op)?.step())?;
        let answer = step.try_commit(kept);
        step.detach();
        Ok(answer?)
    }

    fn batch_abort(&mut self, op: Op<'_>) -> Answer {
        Ok(possible(self.batch(op)?.step())?.abort()?)
    }

    fn batch_query(&mut self, op: Op<'_>) -> Answer {
        let property = match op.number("property") {
            1 => Some(PlanInfo::Launches),
            2 => Some(PlanInfo::Items),
            3 => Some(PlanInfo::Runs),
            4 => Some(PlanInfo::RelayRuns),
            5 => Some(PlanInfo::Partials),
            6 => Some(PlanInfo::KvBytes),
            7 => Some(PlanInfo::PredictedNs),
            _ => None,
        };
        let value = self.batch(op)?.query(op.count("group")?, possible(property)?)?;
        assert_eq!(value, op.number("value"));
        Ok(())
    }

    fn release(&mut self, name: &str) -> Answer {
        let found = self.contexts.remove(name).is_some()
            || self.models.remove(name).is_some()
            || self.caches.remove(name).is_some()
            || self.open.remove(name).is_some()
            || self.sealed.remove(name).is_some()
            || self.sequences.remove(name).is_some()
            || self.batches.remove(name).is_some();
        possible(found.then_some(()))
    }
}

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
