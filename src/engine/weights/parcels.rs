//! The weights of a model's components, from one file or several: which chunks each component needs, asked for in the order of need,
//! several at a time, and its tensors as these chunks come.
//!
//! No file is ever whole in memory: there are as many chunks as are on their way at once, one that is worked on, and one part of a tensor.

use super::checkpoint::Checkpoint;
use super::files::{ChunkFile, InFlight, ModelFiles};
use super::stream::{TensorPart, TensorStream};
use crate::engine::{CancelFlag, Error, Result};
use crate::protocol::LoadRequest;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::rc::Rc;

/// The file with the weights where there is one.
const WEIGHTS: &str = "model.safetensors";
/// The list of the files with the weights where there are several.
const INDEX: &str = "model.safetensors.index.json";

/// A chunk of a file: which file, which chunk.
type Key = (usize, u32);

/// The files with a model's weights.
pub struct Weights {
    shards: Vec<Shard>,
    checkpoint: Rc<Checkpoint>,
    /// How many chunks may be on their way at once.
    lanes: usize,
    /// Chunks that are to be asked for, in this order.
    order: VecDeque<Key>,
    asked: VecDeque<Key>,
    in_flight: InFlight,
    /// Chunks at the border of two components.
    shared: HashSet<Key>,
    taken: HashSet<Key>,
    last: Option<(Key, Vec<u8>)>,
}

/// One file.
struct Shard {
    file: Rc<ChunkFile>,
    checkpoint: Rc<Checkpoint>,
    /// The chunks that hold its header, until they are needed for what lies behind it.
    first: Vec<(u32, Vec<u8>)>,
}

/// What a component gets.
pub struct Parcel {
    /// Its chunks that have not come yet.
    chunks: VecDeque<Key>,
    /// Its tensors by file; chunks come file by file.
    streams: Vec<TensorStream>,
    current: usize,
    /// Bytes of its tensors in all.
    pub total_bytes: u64,
    /// Bytes of its tensors that were handed out.
    pub received_bytes: u64,
}

impl Weights {
    /// Finds the files and reads their headers. `lanes` chunks may be on their way at once.
    ///
    /// # Errors
    /// Those of [`ModelFiles::chunks`] and of [`TensorStream::push`].
    pub async fn open(files: &ModelFiles, lanes: usize, cancel: &CancelFlag) -> Result<Self> {
        let mut shards = Vec::new();
        match files.chunks(WEIGHTS).await? {
            Some(file) => shards.push(Shard::open(WEIGHTS, file, cancel).await?),
            None => {
                for name in files_of(files).await? {
                    let file = files.chunks(&name).await?.ok_or_else(|| files.missing(&name))?;
                    shards.push(Shard::open(&name, file, cancel).await?);
                }
            }
        }
        let checkpoint = match &shards[..] {
            [only] => only.checkpoint.clone(),
            _ => {
                let parts: Vec<_> = shards.iter().map(|shard| shard.checkpoint.clone()).collect();
                Rc::new(Checkpoint::join(INDEX, &parts)?)
            }
        };
        Ok(Self {
            shards,
            checkpoint,
            lanes: lanes.max(1),
            order: VecDeque::new(),
            asked: VecDeque::new(),
            in_flight: InFlight::default(),
            shared: HashSet::new(),
            taken: HashSet::new(),
            last: None,
        })
    }

    /// Names and shapes of all tensors.
    pub fn checkpoint(&self) -> &Rc<Checkpoint> {
        &self.checkpoint
    }

    /// What tells these weights from other versions of them.
    pub fn version(&self) -> String {
        self.shards.iter().map(|shard| shard.file.version()).collect::<Vec<_>>().join("+")
    }

    /// What each component gets, given by the names of its tensors, the component that is needed first in front. Their chunks are to
    /// be taken in this order.
    pub fn parcels(&mut self, wanted: &[BTreeSet<String>]) -> Vec<Parcel> {
        let parcels: Vec<Parcel> = wanted.iter().map(|names| self.parcel(names)).collect();
        let held = |(idx, shard): (usize, &Shard)| shard.first.iter().map(move |(chunk, _)| (idx, *chunk)).collect();
        let mut held: HashSet<Key> =
            self.shards.iter().enumerate().flat_map(|shard| -> Vec<Key> { held(shard) }).collect();
        let mut previous: Option<Key> = None;
        for key in parcels.iter().flat_map(|parcel| parcel.chunks.iter().copied()) {
            if previous == Some(key) {
                self.shared.insert(key);
            } else if !held.remove(&key) {
                self.order.push_back(key);
            }
            previous = Some(key);
        }
        parcels
    }

    fn parcel(&self, names: &BTreeSet<String>) -> Parcel {
        let (mut chunks, mut streams, mut total_bytes) = (VecDeque::new(), Vec::new(), 0);
        for (idx, shard) in self.shards.iter().enumerate() {
            let entries = shard.checkpoint.iter().enumerate().filter(|(_, entry)| names.contains(&entry.name));
            let (mut wanted, mut needed) = (Vec::new(), BTreeSet::new());
            for (place, entry) in entries {
                wanted.push(place);
                total_bytes += entry.bytes;
                let size = shard.file.chunk_bytes();
                let end = entry.offset + entry.bytes.max(1);
                needed.extend((entry.offset / size) as u32..end.div_ceil(size) as u32);
            }
            if !wanted.is_empty() {
                streams.push(TensorStream::of(&shard.checkpoint, wanted));
                chunks.extend(needed.into_iter().map(|chunk| (idx, chunk)));
            }
        }
        Parcel { chunks, streams, current: 0, total_bytes, received_bytes: 0 }
    }

    /// Puts the next chunk into a parcel; `false` where it is complete.
    ///
    /// # Errors
    /// Those of [`ChunkFile::chunk`], [`Error::Corrupt`] where a file ends too early.
    pub async fn next(&mut self, parcel: &mut Parcel) -> Result<bool> {
        let Some(key) = parcel.chunks.pop_front() else {
            return match parcel.streams.iter().all(TensorStream::is_done) {
                true => Ok(false),
                false => Err(Error::Internal("a component's chunks do not hold its tensors".into())),
            };
        };
        let chunk = self.take(key).await?;
        let at = u64::from(key.1) * self.shards[key.0].file.chunk_bytes();
        // Streams are those of the files that have something for this component, in the order of the files.
        while parcel.streams.get(parcel.current).is_some_and(TensorStream::is_done) {
            parcel.current += 1;
        }
        match parcel.streams.get_mut(parcel.current) {
            Some(stream) => stream.push_at(at, chunk)?,
            None => return Err(Error::Internal("a chunk came that nobody wants".into())),
        }
        Ok(true)
    }

    /// Receives what no component needed, where files are checked as a whole, and checks them.
    ///
    /// # Errors
    /// Those of [`ChunkFile::chunk`] and [`ChunkFile::finish`].
    pub async fn finish(mut self) -> Result<()> {
        for (idx, shard) in self.shards.iter().enumerate().filter(|(_, shard)| !shard.file.is_kept()) {
            let n_chunks = shard.checkpoint.file_len().div_ceil(shard.file.chunk_bytes()) as u32;
            let has = |chunk: &u32| {
                self.taken.contains(&(idx, *chunk)) || shard.first.iter().any(|(first, _)| first == chunk)
            };
            self.order.extend((0..n_chunks).filter(|chunk| !has(chunk)).map(|chunk| (idx, chunk)));
        }
        while !self.order.is_empty() || !self.in_flight.is_empty() {
            self.top_up();
            if let Some(received) = self.in_flight.next().await {
                received?;
            }
        }
        for shard in self.shards {
            shard.file.finish().await?;
        }
        Ok(())
    }

    async fn take(&mut self, key: Key) -> Result<Vec<u8>> {
        if let Some((_, chunk)) = self.last.as_ref().filter(|(last, _)| *last == key) {
            return Ok(chunk.clone());
        }
        self.last = None;
        let first = &mut self.shards[key.0].first;
        let chunk = match first.iter().position(|(idx, _)| *idx == key.1) {
            Some(place) => first.swap_remove(place).1,
            None => {
                self.top_up();
                let received = self.in_flight.next().await;
                let (_, chunk) = received.ok_or_else(|| Error::Internal("a chunk was not asked for".into()))??;
                if self.asked.pop_front() != Some(key) {
                    return Err(Error::Internal("chunks are taken in another order than they were asked for".into()));
                }
                // The next ones travel while this one is worked on.
                self.top_up();
                self.in_flight.nudge().await;
                chunk
            }
        };
        self.taken.insert(key);
        if self.shared.contains(&key) {
            self.last = Some((key, chunk.clone()));
        }
        Ok(chunk)
    }

    /// Asks for as many chunks as may be on their way.
    fn top_up(&mut self) {
        while let Some(&key) = self.order.front() {
            let file = &self.shards[key.0].file;
            // What is kept may be in larger chunks than are asked for today.
            let chunk_bytes = file.chunk_bytes().min(u32::MAX.into()) as u32;
            let lanes = match file.gives_ranges() {
                true => LoadRequest::parallel(chunk_bytes, self.lanes as u32) as usize,
                false => 1,
            };
            if self.in_flight.len() >= lanes {
                break;
            }
            self.in_flight.ask(file, key.1);
            self.order.pop_front();
            self.asked.push_back(key);
        }
    }
}

impl Shard {
    async fn open(name: &str, file: Rc<ChunkFile>, cancel: &CancelFlag) -> Result<Self> {
        let mut header = TensorStream::new(name, file.total_bytes());
        let mut first = Vec::new();
        loop {
            cancel.check()?;
            if let Some(checkpoint) = header.checkpoint() {
                let checkpoint = checkpoint.clone();
                return Ok(Self { file, checkpoint, first });
            }
            let idx = first.len() as u32;
            let chunk = file.clone().chunk(idx).await?;
            if chunk.is_empty() {
                header.finish()?;
            }
            file.used(idx, &chunk);
            header.push(chunk.clone())?;
            first.push((idx, chunk));
        }
    }
}

impl Parcel {
    /// The next part of a tensor that is complete, or `None` until the next chunk.
    pub fn next_part(&mut self) -> Option<TensorPart<'_>> {
        let part = self.streams.get_mut(self.current)?.next_part()?;
        self.received_bytes += part.bytes.len() as u64;
        Some(part)
    }
}

/// The files that the index names.
async fn files_of(files: &ModelFiles) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let Some(json) = files.read(INDEX).await? else { return Err(no_weights(files).await?) };
    let index: Index = serde_json::from_slice(&json).map_err(|error| Error::Corrupt {
        file: INDEX.into(),
        reason: format!("it names no files of weights ({error})"),
    })?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    Ok(names.into_iter().collect())
}

/// Other programs' files of weights.
const OTHERS: [&str; 4] = ["pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack"];

/// What to say where there are no weights: which ones there are instead, and what to do about it.
async fn no_weights(files: &ModelFiles) -> Result<Error> {
    for other in OTHERS {
        if files.chunks(other).await?.is_some() {
            return Ok(Error::Unsupported(format!(
                "its weights are in `{other}` alone; expected `{WEIGHTS}`. Many repositories on the hub have it in a pull request that \
                 the hub opened by itself: look for \"safetensors\" under `Community` on the model's page, and load \
                 `owner/name@refs/pr/7` with its number; otherwise convert it with `save_pretrained` of Hugging Face's transformers"
            )));
        }
    }
    Ok(files.missing(WEIGHTS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::weights::files::LoadHooks;
    use std::collections::HashMap;
    use std::path::PathBuf;

    type Tensors = HashMap<String, Vec<u8>>;

    /// A file written by the format's own crate.
    fn file_of(tensors: &[(&str, usize)]) -> (Vec<u8>, Tensors) {
        let bytes =
            |len: usize, seed: usize| (0..len).map(|i| (i.wrapping_mul(31) ^ (i >> 8) ^ (seed * 77)) as u8).collect();
        let data: Tensors =
            tensors.iter().enumerate().map(|(seed, &(name, len))| (name.to_string(), bytes(len, seed + len))).collect();
        let views = data.iter().map(|(name, bytes)| {
            (name, safetensors::tensor::TensorView::new(safetensors::Dtype::U8, vec![bytes.len()], bytes).unwrap())
        });
        (safetensors::serialize(views, None).unwrap(), data)
    }

    fn folder(name: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("rill-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        files.iter().for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes).unwrap());
        folder
    }

    /// What each component gets, received in their order.
    fn gather(folder: &PathBuf, chunk_bytes: u32, lanes: usize, components: &[&[&str]]) -> Result<Vec<Tensors>> {
        let files = ModelFiles::folder(folder, LoadHooks::default()).in_chunks(chunk_bytes);
        pollster::block_on(async {
            let mut weights = Weights::open(&files, lanes, &CancelFlag::default()).await?;
            let wanted: Vec<BTreeSet<String>> =
                components.iter().map(|names| names.iter().map(|name| name.to_string()).collect()).collect();
            let mut all = Vec::new();
            for mut parcel in weights.parcels(&wanted) {
                let mut got = Tensors::new();
                while weights.next(&mut parcel).await? {
                    assert!(weights.in_flight.len() <= lanes);
                    while let Some(part) = parcel.next_part() {
                        let bytes = got.entry(part.entry.name.clone()).or_default();
                        assert_eq!(part.offset, bytes.len() as u64);
                        bytes.extend_from_slice(part.bytes);
                    }
                }
                assert_eq!(parcel.received_bytes, parcel.total_bytes);
                all.push(got);
            }
            weights.finish().await?;
            Ok(all)
        })
    }

    fn only(data: &Tensors, names: &[&str]) -> Tensors {
        names.iter().map(|&name| (name.to_string(), data[name].clone())).collect()
    }

    #[test]
    fn parcels_bring_each_component_its_tensors_whatever_the_chunks_and_the_order() {
        let (file, data) =
            file_of(&[("a", 1000), ("b", 5), ("c", 70_001), ("d", 16), ("e", 0), ("f", 2500), ("unused", 9000)]);
        let folder = folder("parcels", &[("model.safetensors", &file)]);
        // The first component lies behind the second, they share chunks, and one tensor belongs to both.
        let components: [&[&str]; 3] = [&["f", "d", "b"], &["a", "c", "b", "e"], &["d"]];
        for chunk_bytes in [64, 333, 1000, 4096, 1 << 20] {
            for lanes in [1, 3, 8] {
                let got = gather(&folder, chunk_bytes, lanes, &components).unwrap();
                for (got, names) in got.iter().zip(components) {
                    assert_eq!(*got, only(&data, names), "chunks of {chunk_bytes}, {lanes} at once");
                }
            }
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn parcels_come_from_several_files_that_an_index_ties_together() {
        let (one, mut data) = file_of(&[("a", 5000), ("b", 77)]);
        let (two, more) = file_of(&[("c", 3000), ("d", 1)]);
        data.extend(more);
        let index = br#"{"metadata":{},"weight_map":{"a":"m-1.safetensors","b":"m-1.safetensors","c":"m-2.safetensors","d":"m-2.safetensors"}}"#;
        let files: [(&str, &[u8]); 3] = [("m-1.safetensors", &one), ("m-2.safetensors", &two), (INDEX, index)];
        let sharded = folder("shards", &files);
        let components: [&[&str]; 2] = [&["d", "a"], &["b", "c"]];
        let got = gather(&sharded, 512, 3, &components).unwrap();
        assert_eq!(got, components.map(|names| only(&data, names)));
        std::fs::write(sharded.join("m-2.safetensors"), &one).unwrap();
        let message = gather(&sharded, 512, 3, &components).unwrap_err().to_string();
        assert!(message.contains("`a` is in two of its files"), "{message}");
        std::fs::remove_file(sharded.join("m-2.safetensors")).unwrap();
        let message = gather(&sharded, 512, 3, &components).unwrap_err().to_string();
        assert!(message.contains("m-2.safetensors") && message.contains("no such file"), "{message}");
        std::fs::remove_dir_all(sharded).unwrap();
        let nothing = folder("no-weights", &[]);
        assert!(gather(&nothing, 512, 3, &components).unwrap_err().to_string().contains("model.safetensors"));
    }
}
