//! What the scenario does with batches.

use super::data::{Buffer, dtype};
use super::objects::Objects;
use super::op::{Answer, Op, Outcome, possible};
use relayattn::{
    AttendArgs, Batch, Dtype, Kept, PlanFlags, PlanInfo, PlanMode, PlanOptions, Queue, Row, Span,
    StepOptions,
};

impl Objects {
    pub(super) fn batch_create(&mut self, op: Op<'_>) -> Answer {
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

    pub(super) fn batch_pages_needed(&mut self, op: Op<'_>) -> Answer {
        let group = op.count("group")?;
        let pages = self.with_step(op, |batch, rows, options| {
            batch.pages_needed(rows.iter().copied(), options, group)
        })?;
        op.assert_is("pages", pages);
        Ok(())
    }

    pub(super) fn batch_begin(&mut self, op: Op<'_>) -> Answer {
        self.with_step(op, |batch, rows, options| {
            batch.begin_with(rows.iter().copied(), options)?.detach();
            Ok(())
        })
    }

    fn batch(&mut self, op: Op<'_>) -> Result<&mut Batch, Outcome> {
        possible(self.batches.get_mut(op.text("batch")))
    }

    pub(super) fn batch_begin_dummy(&mut self, op: Op<'_>) -> Answer {
        let (rows, q_len, kv_len) = (op.count("rows")?, op.count("q_len")?, op.count("kv_len")?);
        self.batch(op)?.begin_dummy(rows, q_len, kv_len, Queue::default())?.detach();
        Ok(())
    }

    pub(super) fn batch_attend(&mut self, op: Op<'_>) -> Answer {
        let type_of = |name| possible(dtype(op.number(name)));
        let (q_dtype, kv_dtype) = (type_of("q_dtype")?, type_of("kv_dtype")?);
        let q = possible(op.input("q", q_dtype))?;
        let (k, v) = (op.input("k", kv_dtype), op.input("v", kv_dtype));
        let (sinks, slopes) = (op.floats("sinks"), op.floats("slopes"));
        let mut out = Buffer::zeros(op.count("out_size")?, type_of("out_dtype")?);
        let mut lse = Buffer::zeros(op.count("lse_size")?, Dtype::F32);
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

    pub(super) fn batch_commit(&mut self, op: Op<'_>) -> Answer {
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

    pub(super) fn batch_abort(&mut self, op: Op<'_>) -> Answer {
        Ok(possible(self.batch(op)?.step())?.abort()?)
    }

    pub(super) fn batch_query(&mut self, op: Op<'_>) -> Answer {
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
}
