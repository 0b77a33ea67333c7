//! What the scenario does with everything but batches.

use super::data::{Buffer, dtype};
use super::op::{Answer, Op, Outcome, possible};
use relayattn::{
    Backend, Batch, Cache, CacheOptions, Context, ContextOptions, Dtype, LayerOptions, MergeArgs,
    Model, OpenPrefix, PlanFlags, Prefix, Retain, Sequence, Window,
};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Objects {
    contexts: BTreeMap<String, Context>,
    models: BTreeMap<String, Model>,
    caches: BTreeMap<String, Cache>,
    open: BTreeMap<String, OpenPrefix>,
    sealed: BTreeMap<String, Prefix>,
    pub(super) sequences: BTreeMap<String, Sequence>,
    pub(super) batches: BTreeMap<String, Batch>,
}

impl Objects {
    pub fn run(&mut self, op: Op<'_>) -> Answer {
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
        let values = |name| Buffer::from_seed(op.number(name), size, Dtype::F32);
        let (a, b) = (values("a"), values("b"));
        let (a_lse, b_lse) = (op.floats("a_lse"), op.floats("b_lse"));
        let minus_infinity = |x: f32| if x < -1e38 { f32::NEG_INFINITY } else { x };
        let a_lse: Vec<f32> = a_lse.into_iter().map(minus_infinity).collect();
        let b_lse: Vec<f32> = b_lse.into_iter().map(minus_infinity).collect();
        let mut out = Buffer::zeros(size, Dtype::F32);
        let mut lse = Buffer::zeros(shape[0] * shape[1], Dtype::F32);
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

    pub(super) fn cache(&self, op: Op<'_>) -> Result<&Cache, Outcome> {
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
