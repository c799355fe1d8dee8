//! What a repository says of how its texts become vectors: the files that sentence-transformers keeps beside a model.
//!
//! `modules.json` lists what follows the encoder, `1_Pooling/config.json` says how rows become one vector, `sentence_bert_config.json`
//! how long a text may be (older repositories name that file after their architecture). A repository without them is an encoder and
//! nothing else; its vectors are the mean of its rows, of length one.

use super::model::parse;
use super::ops::pool::Pooling;
use super::weights::ModelFiles;
use super::{Error, Result};
use serde_json::Value;

/// How texts become vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentenceConfig {
    /// Whether the repository says that it is for sentences.
    pub is_sentence_model: bool,
    /// What becomes of the encoder's rows.
    pub pooling: Pooling,
    /// Whether the vectors get length one.
    pub normalize: bool,
    /// Longest text in tokens, where it is said.
    pub max_tokens: Option<usize>,
}

impl SentenceConfig {
    /// Reads what there is.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for modules other than pooling and normalisation, for poolings that no op here computes, and where
    /// `modules.json` names a configuration that is not there.
    pub async fn read(files: &ModelFiles, model_type: Option<&str>) -> Result<Self> {
        let mut length = optional(files, "sentence_bert_config.json").await?;
        if let Some(other) = model_type.filter(|name| *name != "bert" && length.is_null()) {
            length = optional(files, &format!("sentence_{other}_config.json")).await?;
        }
        let mut config = Self {
            is_sentence_model: !length.is_null(),
            pooling: Pooling::Mean,
            normalize: true,
            max_tokens: length["max_seq_length"].as_u64().map(|n| n as usize),
        };
        if let Value::Array(modules) = optional(files, "modules.json").await? {
            config.is_sentence_model = true;
            config.normalize = false;
            for module in &modules {
                // The paths of the Python classes have changed over the years, their last parts have not.
                match module["type"].as_str().and_then(|path| path.rsplit('.').next()) {
                    Some("Transformer") => {}
                    Some("Pooling") => {
                        let file = format!("{}/config.json", module["path"].as_str().unwrap_or("1_Pooling"));
                        let Some(bytes) = files.read(&file).await? else { return Err(no_pooling(&file)) };
                        config.pooling = pooling(&file, &parse(&file, &bytes)?)?;
                    }
                    Some("Normalize") => config.normalize = true,
                    other => {
                        let other = other.unwrap_or("(unnamed)");
                        let message =
                            format!("its vectors pass through a module `{other}`; known are Pooling and Normalize");
                        return Err(Error::Unsupported(message));
                    }
                }
            }
        }
        Ok(config)
    }
}

/// What to say where the configuration of the pooling did not come with the other files.
fn no_pooling(file: &str) -> Error {
    Error::Unsupported(format!(
        "its `modules.json` says that texts are pooled as in `{file}`, which is not among its files: add that file (drop the whole folder \
         rather than its files), or leave `modules.json` out, and the mean of the tokens is taken"
    ))
}

/// The one pooling that a `Pooling` module's configuration names.
fn pooling(file: &str, config: &Value) -> Result<Pooling> {
    // Newer files name it, older ones have a switch for each.
    let named = config["pooling_mode"].as_str().map(|name| vec![name.to_string()]);
    let chosen = named.unwrap_or_else(|| {
        let switches = config.as_object().into_iter().flatten().filter(|(_, on)| **on == Value::Bool(true));
        let name =
            |key: &str| key.strip_prefix("pooling_mode_").map(|mode| mode.trim_end_matches("_tokens").to_string());
        switches.filter_map(|(key, _)| name(key)).collect()
    });
    let chosen: Vec<&str> = chosen.iter().map(String::as_str).collect();
    match chosen[..] {
        ["mean"] => Ok(Pooling::Mean),
        ["cls" | "cls_token"] => Ok(Pooling::First),
        ["max"] => Ok(Pooling::Max),
        ["mean_sqrt_len"] => Ok(Pooling::MeanSqrtLen),
        [] => Err(Error::Corrupt { file: file.into(), reason: "it names no pooling".into() }),
        _ => {
            let message =
                format!("its pooling is {}; known is one of mean, cls, max, mean_sqrt_len", chosen.join(" and "));
            Err(Error::Unsupported(message))
        }
    }
}

/// A file as JSON, null where there is none.
async fn optional(files: &ModelFiles, name: &str) -> Result<Value> {
    match files.read(name).await? {
        Some(bytes) => parse(name, &bytes),
        None => Ok(Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pooling_is_read_from_switches_and_from_a_name() {
        let read = |config: Value| pooling("1_Pooling/config.json", &config);
        let old = json!({"word_embedding_dimension": 384, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false,
            "pooling_mode_max_tokens": false, "include_prompt": true});
        assert_eq!(read(old).unwrap(), Pooling::First);
        assert_eq!(read(json!({"pooling_mode_mean_tokens": true})).unwrap(), Pooling::Mean);
        assert_eq!(read(json!({"pooling_mode_mean_sqrt_len_tokens": true})).unwrap(), Pooling::MeanSqrtLen);
        assert_eq!(read(json!({"embedding_dimension": 8, "pooling_mode": "max"})).unwrap(), Pooling::Max);
    }

    #[test]
    fn pooling_of_another_kind_is_refused_by_its_name() {
        let refused = |config: Value| pooling("1_Pooling/config.json", &config).unwrap_err().to_string();
        assert!(refused(json!({"pooling_mode_lasttoken": true})).contains("lasttoken"));
        let two = json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true});
        assert!(refused(two).contains("cls_token and mean"));
        assert!(refused(json!({})).contains("names no pooling"));
    }
}
