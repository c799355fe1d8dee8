//! The list of pipelines that outlives a visit: for which models they are, what making them took, and enough to make each again. The compiled
//! programs are not in it: only the browser can keep those, and it tells nobody.

use super::device::Gpu;
use super::pipeline::{Pipeline, PipelineKey};
use super::session::Dispatch;
use crate::engine::{CancelFlag, Result, edge};
use crate::protocol::{PipelineEntry, PipelineManifest, Precompile};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::rc::Rc;

/// So many pipelines are listed, the latest.
const MOST_LISTED: usize = 400;
/// So many are begun at once, so that others who want the compiler have a turn.
const AT_ONCE: usize = 8;

/// The list for one adapter, one browser and one build.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    made_for: String,
    /// How each model was loaded last, in words, by its name.
    loads: HashMap<String, String>,
    pipelines: Vec<Listed>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Listed {
    op: String,
    key: PipelineKey,
    /// Those whose last load used it.
    models: Vec<String>,
    /// Whether the first run of one of the models needs it.
    essential: bool,
    cold_ms: f64,
    warm_ms: Option<f64>,
}

impl Manifest {
    /// The list that was written down for this GPU. What is damaged, or was written for another one, is no list.
    pub fn read(written: Option<&str>, gpu: &Gpu) -> Self {
        let made_for = format!("{} | {} | {}", gpu.name, edge::user_agent(), crate::BUILD);
        let known = written.and_then(|written| serde_json::from_str::<Self>(written).ok());
        let known = known.filter(|known| known.made_for == made_for);
        known.unwrap_or_else(|| Self { made_for, ..Self::default() })
    }

    /// The list as a text.
    pub fn write(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    /// Throws all of it away.
    pub fn clear(&mut self) {
        self.loads.clear();
        self.pipelines.clear();
    }

    /// Notes that a model was loaded, and how; [`Manifest::note`] then tells what that load used.
    pub fn note_load(&mut self, model: &str, how: &str) {
        self.loads.insert(model.into(), how.into());
        self.pipelines.iter_mut().for_each(|listed| listed.models.retain(|known| known != model));
    }

    /// Those that are taken, essential ones in front.
    fn essential_first(&self, takes: impl Fn(&Listed) -> bool) -> Vec<&Listed> {
        let mut taken: Vec<&Listed> = self.pipelines.iter().filter(|listed| takes(listed)).collect();
        taken.sort_by_key(|listed| !listed.essential);
        taken
    }

    /// Notes a dispatch of a model.
    pub(super) fn note(&mut self, model: &str, dispatch: &Dispatch, essential: bool) {
        let pipeline = &dispatch.pipeline;
        let Some(making) = pipeline.making() else { return };
        let idx = self.pipelines.iter().position(|listed| listed.key == pipeline.key).unwrap_or_else(|| {
            pipeline.is_listed.set(true);
            let (op, key) = (dispatch.op.into(), pipeline.key.clone());
            let (models, cold_ms) = (Vec::new(), making.ms);
            self.pipelines.push(Listed { op, key, models, essential, cold_ms, warm_ms: None });
            self.pipelines.len() - 1
        });
        let listed = &mut self.pipelines[idx];
        listed.note_making(pipeline);
        listed.essential |= essential;
        if !listed.models.iter().any(|known| known == model) {
            listed.models.push(model.into());
        }
    }

    /// Notes what making the pipelines took that are listed already, and keeps the list from growing for ever.
    pub fn update(&mut self, gpu: &Gpu) {
        let cache = gpu.pipelines.borrow();
        for listed in &mut self.pipelines {
            cache.get(&listed.key).inspect(|pipeline| listed.note_making(pipeline));
        }
        self.pipelines.drain(..self.pipelines.len().saturating_sub(MOST_LISTED));
    }
}

impl Listed {
    fn note_making(&mut self, pipeline: &Pipeline) {
        if let Some(making) = pipeline.making()
            && !pipeline.is_listed.replace(true)
        {
            self.warm_ms = Some(making.ms);
        }
    }
}

impl Gpu {
    /// Begins to make what the last load of a model used, where it is loaded again in the same way: its files are read meanwhile. One that
    /// is refused says so when the load waits for it.
    pub fn begin_listed(&self, manifest: &Manifest, model: &str, how: &str) {
        if manifest.loads.get(model).is_none_or(|last| last != how) {
            return;
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        for listed in manifest.essential_first(|listed| listed.models.iter().any(|known| known == model)) {
            self.pipeline(&listed.op, listed.key.clone());
        }
        drop(scope.pop());
    }

    /// What was made here, and what is listed.
    pub fn pipelines(&self, manifest: &Manifest) -> PipelineManifest {
        let cache = self.pipelines.borrow();
        let listed = manifest.pipelines.iter().map(|listed| PipelineEntry {
            op: listed.op.clone(),
            shader: listed.key.shader.clone(),
            variant: listed.key.variant.clone(),
            models: listed.models.clone(),
            essential: listed.essential,
            cold_ms: Some(listed.cold_ms),
            warm_ms: listed.warm_ms,
            made: cache.get(&listed.key).and_then(|pipeline| pipeline.making()),
        });
        let mut pipelines: Vec<PipelineEntry> = listed.collect();
        pipelines.sort_by_key(|entry| !entry.essential);
        let is_listed = |key: &PipelineKey| manifest.pipelines.iter().any(|listed| listed.key == *key);
        let others = cache.iter().filter(|pipeline| pipeline.making().is_some() && !is_listed(&pipeline.key));
        let mut others: Vec<&Rc<Pipeline>> = others.collect();
        others.sort_by_key(|pipeline| pipeline.making().map(|making| making.order));
        pipelines.extend(others.into_iter().map(|pipeline| PipelineEntry {
            op: pipeline.op().into(),
            shader: pipeline.key.shader.clone(),
            variant: pipeline.key.variant.clone(),
            models: Vec::new(),
            essential: false,
            cold_ms: None,
            warm_ms: None,
            made: pipeline.making(),
        }));
        let log = self.compiler_log.borrow();
        PipelineManifest { adapter: self.name.clone(), pipelines, logging: log.is_on, messages: log.messages.clone() }
    }

    /// Makes listed pipelines, essential ones first. `on_progress` hears how many are made, of how many.
    ///
    /// # Errors
    /// [`crate::engine::Error::Gpu`] where one is refused; [`crate::engine::Error::Cancelled`].
    pub async fn precompile(
        &self,
        manifest: &Manifest,
        which: &Precompile,
        cancel: &CancelFlag,
        on_progress: &mut dyn FnMut(u32, u32),
    ) -> Result<()> {
        let wanted = manifest.essential_first(|listed| which.takes(&listed.op, listed.essential));
        let all = wanted.len() as u32;
        on_progress(0, all);
        for (idx, some) in wanted.chunks(AT_ONCE).enumerate() {
            edge::give_way().await;
            cancel.check()?;
            let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
            let pipelines: Vec<_> = some.iter().map(|listed| self.pipeline(&listed.op, listed.key.clone())).collect();
            // Where one is refused, finishing it tells why.
            drop(scope.pop().await);
            let before = (idx * AT_ONCE) as u32;
            self.finish_pipelines(&pipelines, &mut |made| on_progress(before + made, all)).await?;
            on_progress(before + some.len() as u32, all);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Error;
    use crate::protocol::MessageKind;

    fn open() -> Option<Rc<Gpu>> {
        match pollster::block_on(Gpu::open()) {
            Ok(gpu) => Some(gpu),
            Err(e) if std::env::var_os("REQUIRE_GPU").is_some() => panic!("{e}"),
            Err(e) => {
                eprintln!("skipped: {e}");
                None
            }
        }
    }

    /// A list as it is written down, of one pipeline that writes to one buffer.
    fn written(made_for: &str, text: &str) -> String {
        let key = serde_json::json!({
            "shader": "answer", "variant": "", "text": text, "overrides": [["WG", 64f64.to_bits()]],
            "has_uniform": true, "written": [true],
        });
        let listed = serde_json::json!({
            "op": "ask", "key": key, "models": ["oracle"], "essential": true, "cold_ms": 7.5, "warm_ms": null,
        });
        serde_json::json!({ "made_for": made_for, "loads": { "oracle": "f32" }, "pipelines": [listed] }).to_string()
    }

    const ANSWER: &str = "struct Params { n: u32 }\noverride WG: u32 = 1;\n\
        @group(0) @binding(0) var<uniform> params: Params;\n\
        @group(0) @binding(1) var<storage, read_write> y: array<u32>;\n\
        @compute @workgroup_size(WG) fn main() { y[0] = params.n; }\n";

    #[test]
    fn only_a_whole_list_for_this_gpu_and_build_is_read() {
        let Some(gpu) = open() else { return };
        let made_for = Manifest::read(None, &gpu).made_for;
        let whole = written(&made_for, ANSWER);
        let n_listed = |text: &str| Manifest::read(Some(text), &gpu).pipelines.len();
        assert_eq!(n_listed(&whole), 1);
        for wrong in [&whole[..whole.len() / 2], &whole.replace("text", "txet"), "[]", "", &written("else", ANSWER)] {
            assert_eq!(n_listed(wrong), 0, "{wrong}");
        }
        let again = Manifest::read(Some(&whole), &gpu).write().expect("a list can be written down");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&again), value(&whole));
    }

    #[test]
    fn listed_pipelines_are_made_once_and_their_times_noted() {
        let Some(gpu) = open() else { return };
        let made_for = Manifest::read(None, &gpu).made_for;
        let mut manifest = Manifest::read(Some(&written(&made_for, ANSWER)), &gpu);
        let cancel = CancelFlag::default();
        let make = |which| {
            let mut heard = Vec::new();
            let mut on_progress = |done, all| heard.push((done, all));
            pollster::block_on(gpu.precompile(&manifest, &which, &cancel, &mut on_progress)).map(|()| heard)
        };
        assert_eq!(make(Precompile::Operation("other".into())).unwrap(), [(0, 0)]);
        assert_eq!(make(Precompile::Essential).unwrap().last(), Some(&(1, 1)));
        let order = |manifest: &Manifest| gpu.pipelines(manifest).pipelines[0].made.map(|making| making.order);
        let first = order(&manifest);
        assert!(first.is_some());
        let again = pollster::block_on(gpu.precompile(&manifest, &Precompile::All, &cancel, &mut |_, _| ()));
        again.expect("nothing is left to be made");
        assert_eq!(order(&manifest), first);
        manifest.update(&gpu);
        let entry = gpu.pipelines(&manifest).pipelines.remove(0);
        assert_eq!((entry.cold_ms, entry.warm_ms), (Some(7.5), entry.made.map(|making| making.ms)));
        assert!(entry.warm_ms.is_some_and(|ms| ms > 0.0), "{entry:?}");
    }

    #[test]
    fn what_the_last_load_used_is_begun_where_the_next_is_alike() {
        let Some(gpu) = open() else { return };
        let made_for = Manifest::read(None, &gpu).made_for;
        let mut manifest = Manifest::read(Some(&written(&made_for, ANSWER)), &gpu);
        let is_begun = |manifest: &Manifest| gpu.pipelines.borrow().get(&manifest.pipelines[0].key).is_some();
        gpu.begin_listed(&manifest, "oracle", "f16");
        gpu.begin_listed(&manifest, "other", "f32");
        assert!(!is_begun(&manifest));
        gpu.begin_listed(&manifest, "oracle", "f32");
        assert!(is_begun(&manifest));
        manifest.note_load("oracle", "f16");
        assert_eq!(manifest.pipelines[0].models, [""; 0], "this load has told of none yet");
        assert_eq!(manifest.loads["oracle"], "f16");
    }

    #[test]
    fn a_refused_shader_is_told_with_its_line() {
        let Some(gpu) = open() else { return };
        let made_for = Manifest::read(None, &gpu).made_for;
        let broken = ANSWER.replace("params.n", "params.m");
        let manifest = Manifest::read(Some(&written(&made_for, &broken)), &gpu);
        let cancel = CancelFlag::default();
        let made = pollster::block_on(gpu.precompile(&manifest, &Precompile::All, &cancel, &mut |_, _| ()));
        assert!(matches!(made, Err(Error::Gpu { .. })), "{made:?}");
        let told = gpu.pipelines(&manifest);
        let message = told.messages.first().expect("the compiler says why");
        assert_eq!((message.kind, message.shader.as_str(), message.line), (MessageKind::Error, "answer", 5));
        assert!(message.source.contains("y[0] = params.m"), "{message:?}");
        assert_eq!(told.pipelines[0].made, None);
        gpu.check().expect("the device is still of use");
    }
}
