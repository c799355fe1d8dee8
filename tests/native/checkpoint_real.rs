//! Real checkpoints through the loader's stream, against the format's own crate.
//!
//! `RILL_MODELS` names the folder of the model folders; without it the test says so and does nothing.

use std::collections::HashMap;

use rill::engine::weights::{LoadHooks, ModelFiles, TensorStream};

#[test]
fn real_checkpoints_arrive_whole_tensor_by_tensor() {
    let Ok(folder) = std::env::var("RILL_MODELS") else {
        println!("skipped: RILL_MODELS names no folder of models");
        return;
    };
    for model in ["whisper-tiny.en", "whisper-base", "all-MiniLM-L6-v2"] {
        let path = std::path::Path::new(&folder).join(model);
        let whole = std::fs::read(path.join("model.safetensors")).expect("model.safetensors");
        let oracle = safetensors::SafeTensors::deserialize(&whole).expect("a sound file");
        let got: HashMap<String, Vec<u8>> = pollster::block_on(async {
            let mut file = ModelFiles::folder(path, LoadHooks::default()).open("model.safetensors").await?;
            let mut stream = TensorStream::new("model.safetensors", file.total_bytes());
            let mut got: HashMap<String, Vec<u8>> = HashMap::new();
            while let Some(chunk) = file.next_chunk().await? {
                stream.push(chunk)?;
                while let Some(part) = stream.next_part() {
                    got.entry(part.entry.name.clone()).or_default().extend_from_slice(part.bytes);
                }
            }
            stream.finish()?;
            let checkpoint = stream.checkpoint().expect("a header");
            for (name, view) in oracle.iter() {
                assert_eq!(checkpoint.get(name).expect("the tensor").shape, view.shape(), "{name}");
            }
            rill::engine::Result::Ok(got)
        })
        .unwrap();
        assert_eq!(got.len(), oracle.len());
        for (name, view) in oracle.iter() {
            assert!(got[name] == view.data(), "{model}: the bytes of {name} differ");
        }
        println!("{model}: {} tensors", got.len());
    }
}
